//go:build race

package larder_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	larder "github.com/larder-cache/larder/go"
)

// A Set comes before the Get that finds its value: what was written before the one may be read
// after the other. The race detector must know that.
func TestRaceDetectorSeesTheOrder(t *testing.T) {
	c := newCache(t, larder.Options{MaxBytes: 1 << 20})
	for range 100 {
		c.DeleteString("ready")
		x, done := 0, make(chan int)
		go func() {
			for {
				if _, ok := c.GetString(nil, "ready"); ok {
					done <- x
					return
				}
			}
		}()
		x = 1
		mustSet(t, c, "ready", nil)
		if got := <-done; got != 1 {
			t.Error(got)
		}
	}
}

// It must see, too, what the cache writes to the caller's memory, and reads of it.
func TestRaceDetectorSeesRaces(t *testing.T) {
	const which = "LARDER_TEST_RACE"
	value := make([]byte, 100)
	races := map[string]func(c *larder.Cache, shared []byte){
		"get": func(c *larder.Cache, shared []byte) { c.GetString(shared[:0], "k") },
		"getwith": func(c *larder.Cache, shared []byte) {
			c.GetWith(shared[:0], []byte("k"), false)
		},
		"set value": func(c *larder.Cache, shared []byte) { _ = c.SetString("k", shared) },
		"set key":   func(c *larder.Cache, shared []byte) { _ = c.Set(shared, nil) },
		"delete":    func(c *larder.Cache, shared []byte) { c.Delete(shared) },
	}
	if name := os.Getenv(which); name != "" {
		c := newCache(t, larder.Options{MaxBytes: 1 << 20})
		mustSet(t, c, "k", value)
		shared, done := make([]byte, 100), make(chan bool)
		go func() {
			shared[50] = 1
			close(done)
		}()
		races[name](c, shared)
		<-done
		return
	}
	for name := range races {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRaceDetectorSeesRaces$")
		cmd.Env = append(os.Environ(), which+"="+name)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "DATA RACE") {
			t.Errorf("%s: no race was found: %v\n%s", name, err, out)
		}
	}
}
