package larder_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

// The archive that Build names is among those that lie here: who builds another has to write its
// hash beside it, or go wouldn't link it.
func TestBuildNamesTheArchive(t *testing.T) {
	build := larder.Build()
	if build.Version == "" || build.ABI < 1 {
		t.Errorf("no version, or no ABI: %+v", build)
	}
	archives, err := filepath.Glob("lib/*/liblarder.a")
	if err != nil || len(archives) == 0 {
		t.Skip("the archives are not here: a test program that was copied elsewhere")
	}
	for _, archive := range archives {
		content, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) == build.Archive {
			return
		}
	}
	t.Errorf("no archive has the hash %s", build.Archive)
}
