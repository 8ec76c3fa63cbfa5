package main

func memory() error { return nil }

func measureChild(string) error { return nil }
