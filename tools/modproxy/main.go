// Command modproxy writes Go modules to a folder as a module proxy serves them, for GOPROXY=file://FOLDER: zips as
// `go get` would download them.
//
//	modproxy FOLDER VERSION MODULE=DIRECTORY...
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	if len(os.Args) < 4 {
		fmt.Fprintln(os.Stderr, "modproxy FOLDER VERSION MODULE=DIRECTORY...")
		os.Exit(2)
	}
	for _, arg := range os.Args[3:] {
		path, dir, _ := strings.Cut(arg, "=")
		if err := serve(os.Args[1], module.Version{Path: path, Version: os.Args[2]}, dir); err != nil {
			fmt.Fprintf(os.Stderr, "modproxy: %s: %v\n", path, err)
			os.Exit(1)
		}
	}
}

// serve writes one module's version: its list, what is known of it, its go.mod and its zip.
func serve(folder string, m module.Version, dir string) error {
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	at := filepath.Join(folder, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{m.Version, time.Unix(0, 0).UTC()})
	if err != nil {
		return err
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"list": []byte(m.Version + "\n"), m.Version + ".info": info, m.Version + ".mod": mod,
	} {
		if err := os.WriteFile(filepath.Join(at, name), content, 0o644); err != nil {
			return err
		}
	}
	out, err := os.Create(filepath.Join(at, m.Version+".zip"))
	if err != nil {
		return err
	}
	if err := zip.CreateFromDir(out, m, dir); err != nil {
		return err
	}
	return out.Close()
}
