package valkeyx

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPackageIsGenerated fails when rueidisx has changed and generate.sh was not run.
func TestPackageIsGenerated(t *testing.T) {
	if _, err := exec.LookPath("gofmt"); err != nil {
		t.Skip("skipped: there is no gofmt in PATH")
	}
	folder := t.TempDir()
	if out, err := exec.Command("./generate.sh", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing was generated: %v", err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Base(file)); string(got) != string(want) {
			t.Errorf("%s is not what generate.sh makes of rueidisx: run it", filepath.Base(file))
		}
	}
}
