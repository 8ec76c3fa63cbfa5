//go:build linux && amd64 && !race && !larder_nofast && !asan && !msan

package larder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

// The fast path is open in programs, however they are linked, and shut in what a program loads.
func TestFastDoorByBuildMode(t *testing.T) {
	if !larder.FastDoor() && os.Getenv("LARDER_FASTDOOR") != "off" {
		t.Error("shut in a program")
	}
	if os.Getenv("LARDER_TEST_BUILDMODES") == "" {
		t.Skip("builds programs for minutes: set LARDER_TEST_BUILDMODES=1")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command")
	}
	package_, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "LARDER_FASTDOOR=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write("go.mod", "module m\n\ngo 1.24\n\nrequire github.com/larder-cache/larder/go v0.0.0\n\n"+
		"replace github.com/larder-cache/larder/go => "+package_+"\n")
	// Each says whether the door is open, after a call that would go through it.
	const use = `
import larder "github.com/larder-cache/larder/go"

func open() bool {
	c, err := larder.New(larder.Options{MaxBytes: 1 << 20})
	if err != nil {
		panic(err)
	}
	c.SetString("k", nil)
	c.GetString(nil, "k")
	return larder.FastDoor()
}
`
	write("prog/use.go", "package main\n"+use)
	write("prog/main.go", "package main\n\nfunc main() { if open() { println(\"open\") } else { println(\"shut\") } }\n")
	write("plug/use.go", "package main\n"+use)
	write("plug/main.go", "package main\n\nfunc Open() bool { return open() }\n\nfunc main() {}\n")
	write("host/main.go", "package main\n\nimport \"plugin\"\n\nfunc main() {\n\tp, err := plugin.Open(\"plug.so\")\n\tif err != nil {\n\t\tpanic(err)\n\t}\n"+
		"\tf, err := p.Lookup(\"Open\")\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tif f.(func() bool)() {\n\t\tprintln(\"open\")\n\t} else {\n\t\tprintln(\"shut\")\n\t}\n}\n")
	write("lib/use.go", "package main\n"+use)
	write("lib/main.go", "package main\n\nimport \"C\"\n\n//export is_open\nfunc is_open() C.int {\n\tif open() {\n\t\treturn 1\n\t}\n\treturn 0\n}\n\nfunc main() {}\n")
	write("main.c", "#include <stdio.h>\nint is_open(void);\nint main(void) { puts(is_open() ? \"open\" : \"shut\"); return 0; }\n")

	for name, flags := range map[string][]string{
		"exe": nil, "pie": {"-buildmode=pie"}, "stripped": {"-trimpath", "-ldflags=-s -w"},
	} {
		run("go", append(append([]string{"build"}, flags...), "-o", "prog.out", "./prog")...)
		if got := run("./prog.out"); got != "open" {
			t.Errorf("%s: %s", name, got)
		}
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	run("go", "build", "-buildmode=c-shared", "-o", "libl.so", "./lib")
	run(cc, "main.c", "-o", "main.out", "-L.", "-ll", "-Wl,-rpath,"+dir)
	if got := run("./main.out"); got != "shut" {
		t.Errorf("c-shared: %s", got)
	}
	run("go", "build", "-buildmode=plugin", "-o", "plug.so", "./plug")
	run("go", "build", "-o", "host.out", "./host")
	if got := run("./host.out"); got != "shut" {
		t.Errorf("plugin: %s", got)
	}
}
