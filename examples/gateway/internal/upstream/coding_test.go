package upstream

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/larder-cache/larder/examples/gateway/internal/config"
)

// rawServer answers each request of a connection with the next text, and closes
// the connection after the last.
func rawServer(t *testing.T, answers ...string) *Pool {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for _, answer := range answers {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					fmt.Fprint(conn, answer)
				}
			}()
		}
	}()
	return newPool(t, config.Upstream{Targets: []string{"http://" + l.Addr().String()}})
}

func TestUnknownTransferCodings(t *testing.T) {
	for name, c := range map[string]struct {
		answer, body string
	}{
		"unknown":             {"HTTP/1.1 200 OK\r\ntransfer-Encoding: abc\r\nX: y\r\n\r\nbody", "body"},
		"last field":          {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: abc\r\n\r\nbody", "body"},
		"after informational": {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: abc\r\n\r\nbody", "body"},
		"chunked":             {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "body"},
		"in the body":         {"HTTP/1.1 200 OK\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: abc\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: abc\r\n\r\n"},
		"with a length":       {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: abc\r\nContent-Length: 4\r\n\r\nbody", ""},
		"a list of chunked":   {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: , Chunked,\t,\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "body"},
		"chunked, folded":     {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding:\r\n chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", "body"},
		"with a parameter":    {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked;x=1\r\n\r\n4\r\nbody\r\n0\r\n\r\n", ""},
		"chunked twice":       {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", ""},
		"chunked not last":    {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked, gzip\r\n\r\n4\r\nbody\r\n0\r\n\r\n", ""},
		"chunked not alone":   {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", ""},
		"a blank before":      {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding : chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", ""},
		"a blank, length":     {"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length : 4\r\n\r\nbody", ""},
		"twice":               {"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: abc\r\nTransfer-Encoding: chunked\r\n\r\nbody", ""},
	} {
		resp, err := rawServer(t, c.answer).RoundTrip(request("GET", "/"))
		if c.body == "" {
			if err == nil {
				resp.Body.Close()
				t.Errorf("%s: accepted", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != c.body || len(resp.Header) != 1 || resp.Header.Get("X") != "y" {
			t.Errorf("%s: %q, %v, %v", name, body, err, resp.Header)
		}
	}
}

// On a connection that is used again, what looks like a head within a body must
// stay as it is.
func TestBodiesAreNotTouched(t *testing.T) {
	fake := "HTTP/1.1 200 OK\r\nTransfer-Encoding: abc\r\n\r\n"
	answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(fake), fake)
	p := rawServer(t, answer, answer, answer)
	for range 3 {
		resp, err := p.RoundTrip(request("GET", "/"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != fake {
			t.Errorf("%q", body)
		}
	}
}

func FuzzRenameCodings(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: abc\r\n\r\nbody")
	f.Add("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: abc\r\n\r\n")
	f.Add("HTTP/1.1 200 OK\r\n: \r\n\r\n")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: ,Chunked,\t\r\n\r\n")
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n abc\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		changed := []byte(text)
		renameCodings(changed)
		if len(changed) != len(text) {
			t.Fatalf("%q became %q", text, changed)
		}
		if string(changed) == text || strings.Contains(string(changed), ignoredField) {
			return
		}
		// Otherwise a list of chunked alone has become the word.
		if trim := func(s string) string {
			return strings.ToLower(strings.NewReplacer(",", "", " ", "", "\t", "").Replace(s))
		}; trim(string(changed)) != trim(text) {
			t.Errorf("%q became %q", text, changed)
		}
	})
}

// A blank before the colon does not make another field of it (RFC 9112, 5.1).
func TestNamesWithBlanksAreNames(t *testing.T) {
	resp, err := rawServer(t, "HTTP/1.1 200 OK\r\nCache-Control : no-store\r\ncache-control: max-age=60\r\n"+
		"Set-Cookie  : a=b\r\nX Y: z\r\nContent-Length: 0\r\n\r\n").RoundTrip(request("GET", "/"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := resp.Header
	if got := strings.Join(h["Cache-Control"], ", "); !strings.Contains(got, "no-store") || !strings.Contains(got, "max-age=60") {
		t.Errorf("Cache-Control: %q", got)
	}
	if h.Get("Set-Cookie") != "a=b" || len(h) != 3 {
		t.Errorf("%q", h)
	}
}

// Statuses that nobody knows how to treat are not passed on, let alone stored.
func TestStatusesOutOfRangeAreRefused(t *testing.T) {
	for _, status := range []string{"099", "000", "600", "999"} {
		p := rawServer(t, "HTTP/1.1 "+status+" Odd\r\nContent-Length: 0\r\n\r\n")
		w := httptest.NewRecorder()
		Proxy(p, ProxyOptions{Log: quiet}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		if w.Code != http.StatusBadGateway {
			t.Errorf("%s: %d", status, w.Code)
		}
	}
}
