package larder

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"testing"
)

// larder.h is a copy, so that the package is whole when it is vendored; in the
// repository the original is next door.
func TestHeaderIsCurrent(t *testing.T) {
	original, err := os.ReadFile("../include/larder.h")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("not in the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile("larder.h")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(copied, original) {
		t.Error("go/larder.h differs from include/larder.h: copy it again (make header)")
	}
}
