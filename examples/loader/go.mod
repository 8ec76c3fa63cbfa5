module github.com/larder-cache/larder/examples/loader

go 1.24

require github.com/larder-cache/larder/go v0.1.0

replace github.com/larder-cache/larder/go => ../../go
