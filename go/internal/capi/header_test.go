package capi

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"
)

// The headers are copies, so that the package is whole when it is vendored; in
// the repository the originals are next door.
func TestHeadersAreCurrent(t *testing.T) {
	for _, name := range []string{"larder.h", "larder_go.h"} {
		original, err := os.ReadFile("../../../include/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skip("not in the repository")
		}
		if err != nil {
			t.Fatal(err)
		}
		copied, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(copied, original) {
			t.Errorf("go/internal/capi/%[1]s differs from include/%[1]s: copy it again (make header)", name)
		}
	}
}
