package coding

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

var text = []byte(strings.Repeat(`{"name":"value"},`, 500))

// encode codes text by the names of how.
func encode(t *testing.T, how string, text []byte) []byte {
	t.Helper()
	for name := range strings.SplitSeq(how, ", ") {
		var out bytes.Buffer
		var w io.WriteCloser
		switch name {
		case "gzip", "x-gzip":
			w = gzip.NewWriter(&out)
		case "deflate":
			w = zlib.NewWriter(&out)
		case "raw":
			w, _ = flate.NewWriter(&out, 6)
		case "br":
			w = brotli.NewWriter(&out)
		case "zstd":
			w, _ = zstd.NewWriter(&out)
		}
		if _, err := w.Write(text); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		text = out.Bytes()
	}
	return text
}

func TestBytes(t *testing.T) {
	for _, how := range []string{"gzip", "x-gzip", "deflate", "raw", "br", "zstd", "gzip, br"} {
		field := how
		if how == "raw" {
			field = "deflate"
		}
		h := http.Header{"Content-Encoding": {field}, "Etag": {`"1"`}, "Content-Length": {"9"}}
		coded := encode(t, how, text)
		out, err := Bytes(h, coded, len(text))
		if err != nil || !bytes.Equal(out, text) || h.Get("Etag") != `W/"1+identity"` || len(h) != 1 {
			t.Errorf("%s: %d bytes, %v, %v", how, len(out), err, h)
		}
		h = http.Header{"Content-Encoding": {field}}
		if _, err := Bytes(h, coded, len(text)-1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: more than allowed: %v", how, err)
		}
		if _, err := Bytes(h, coded[:len(coded)/2], len(text)); err == nil {
			t.Errorf("%s: half of it passed for the whole", how)
		}
		if out, err := Bytes(h, nil, len(text)); err != nil || len(out) != 0 {
			t.Errorf("%s: nothing became %q, %v", how, out, err)
		}
	}
	for _, field := range []string{"compress", "gzip, gzip, gzip", "gzip, aes128gcm"} {
		if _, err := Bytes(http.Header{"Content-Encoding": {field}}, text, 1<<20); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if out, err := Bytes(http.Header{"Content-Encoding": {"identity"}}, text, 1); err != nil || !bytes.Equal(out, text) {
		t.Errorf("identity: %v", err)
	}
}

func TestUndo(t *testing.T) {
	for _, c := range []struct {
		name, accepted string
		status         int
		field          string
		header         http.Header
		undone         bool
	}{
		{"not accepted", "", 200, "gzip", nil, true},
		{"another is", "br", 200, "gzip", nil, true},
		{"accepted", "gzip", 200, "gzip", nil, false},
		{"a part", "", 206, "gzip", nil, false},
		{"must stay", "", 200, "gzip", http.Header{"Cache-Control": {"no-transform"}}, false},
		{"unknown", "", 200, "compress", nil, false},
	} {
		coded := encode(t, "gzip", text)
		resp := &http.Response{StatusCode: c.status, Header: http.Header{"Content-Encoding": {c.field}}, Body: io.NopCloser(bytes.NewReader(coded))}
		for name, values := range c.header {
			resp.Header[name] = values
		}
		AcceptedBy(Accept(httptest.NewRequest("GET", "/", nil), c.accepted).Context()).Undo(resp)
		body, err := io.ReadAll(resp.Body)
		want := coded
		if c.undone {
			want = text
		}
		if err != nil || !bytes.Equal(body, want) || (resp.Header.Get("Content-Encoding") == "") != c.undone {
			t.Errorf("%s: %d bytes, %v, %v", c.name, len(body), err, resp.Header)
		}
		resp.Body.Close()
	}
}
