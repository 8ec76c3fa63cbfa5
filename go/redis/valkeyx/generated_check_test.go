package valkeyx

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestPackagesAreGenerated fails when what is for rueidis has changed and valkey.sh was not run.
func TestPackagesAreGenerated(t *testing.T) {
	if _, err := exec.LookPath("gofmt"); err != nil {
		t.Skip("skipped: there is no gofmt in PATH")
	}
	folder := t.TempDir()
	if out, err := exec.Command("../valkey.sh", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, made := range []string{"valkeyx", filepath.Join("fleet", "valkey")} {
		files, err := filepath.Glob(filepath.Join(folder, made, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: nothing was generated: %v", made, err)
		}
		for _, file := range files {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(made, filepath.Base(file))
			if got, _ := os.ReadFile(filepath.Join("..", name)); string(got) != string(want) {
				t.Errorf("%s is not what valkey.sh makes of what is for rueidis: run it", name)
			}
		}
	}
}
