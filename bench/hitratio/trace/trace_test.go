package trace

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

func TestFormats(t *testing.T) {
	for _, c := range []struct {
		format, in string
		keys       []uint32
		sizes      []uint32
	}{
		{".lis", "10 3 0 0\n11 1 0 1\n\n5 2 0 2\n", []uint32{0, 1, 2, 1, 3, 4}, nil},
		{".lirs", "7\n8\n7\n*\n9\n", []uint32{0, 1, 0, 2}, nil},
		{".txt", "a\nb\na\n7\n07\n7\n-3\n", []uint32{0, 1, 0, 2, 3, 2, 4}, nil},
		{".sizes", "1 x 100\n2 y 5000000\n3 x 100\n", []uint32{0, 1, 0}, []uint32{100, 5000000, 100}},
		{".be32", "\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x01", []uint32{0, 1, 0}, nil},
		{".be64", "\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x01", []uint32{0, 1}, nil},
	} {
		got, err := Read(strings.NewReader(c.in), c.format)
		if err != nil {
			t.Errorf("%s: %v", c.format, err)
			continue
		}
		if !slices.Equal(got.Keys, c.keys) || !slices.Equal(got.Sizes, c.sizes) {
			t.Errorf("%s: keys %v sizes %v, want %v and %v", c.format, got.Keys, got.Sizes, c.keys, c.sizes)
		}
		if want := int(slices.Max(c.keys)) + 1; got.Distinct != want {
			t.Errorf("%s: %d distinct, want %d", c.format, got.Distinct, want)
		}
	}
}

func TestBadTracesAreErrors(t *testing.T) {
	for _, c := range [][2]string{
		{".lis", "10\n"}, {".lis", "x 3 0 0\n"}, {".sizes", "1 2\n"}, {".sizes", "1 2 x\n"}, {".be32", "abc"},
		{".txt", ""}, {".csv", "1\n"}, {".txt", "1,2,3\n"}, {".txt", "a b\n"}, {".txt", "a\x00b\n"}, {".lirs", "1;2\n"},
		{".twitter", "1,k,3,x,1,get,0\n"}, {".twitter", "1,k\n"}, {".csv", "key,size\nk,-1\n"}, {".csv", "key,size\n,1\n"},
		{".oracleGeneral", "abc"}, {".vscsi", "abc"}, {".vscsi", strings.Repeat("\x00", 200)}, {".unheard", "1\n"},
	} {
		if _, err := Read(strings.NewReader(c[1]), c[0]); err == nil {
			t.Errorf("%s %q was read without an error", c[0], c[1])
		}
	}
}

func TestCompression(t *testing.T) {
	const text = "1\n2\n1\n3\n"
	var gz, zs, x bytes.Buffer
	g := gzip.NewWriter(&gz)
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	xw, err := xz.NewWriter(&x)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []interface {
		Write([]byte) (int, error)
		Close() error
	}{g, z, xw} {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for ext, b := range map[string][]byte{"": []byte(text), ".gz": gz.Bytes(), ".zst": zs.Bytes(), ".xz": x.Bytes()} {
		file := filepath.Join(dir, "some.trace.txt"+ext)
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Load(file)
		if err != nil {
			t.Errorf("%q: %v", ext, err)
			continue
		}
		if got.Name != "some.trace" || !slices.Equal(got.Keys, []uint32{0, 1, 0, 2}) {
			t.Errorf("%q: %+v", ext, got)
		}
	}
}

func TestFormatOfNames(t *testing.T) {
	for name, want := range map[string]string{
		"OLTP.lis.zst": ".lis", "a.lirs": ".lirs", "b.txt.gz": ".txt", "c.sizes.xz": ".sizes", "README.md": "",
		"x.csv.gz": ".csv", "lis": "", "a.oracleGeneral.zst": ".oracleGeneral", "d.oracleGeneral.bin": ".oracleGeneral", "e.bin": "", "b.vscsi": ".vscsi", "c.twitter.xz": ".twitter",
	} {
		if got := Format(name); got != want {
			t.Errorf("Format(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestConcatKeepsTracesApart(t *testing.T) {
	a := &Trace{Name: "a", Keys: []uint32{0, 1, 0}, Distinct: 2}
	b := &Trace{Name: "b", Keys: []uint32{0, 0}, Distinct: 1}
	got := Concat("a, b, a", a, b, a)
	if want := []uint32{0, 1, 0, 2, 2, 0, 1, 0}; !slices.Equal(got.Keys, want) || got.Distinct != 3 {
		t.Errorf("got %v of %d, want %v of 3", got.Keys, got.Distinct, want)
	}
}
