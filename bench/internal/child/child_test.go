package child

import (
	"errors"
	"os"
	"strings"
	"testing"
)

type numbers struct{ A, B int }

func TestMain(m *testing.M) {
	Register("add", func(c *Conn) error {
		for {
			var n numbers
			if err := c.Receive(&n); err != nil {
				return err
			}
			if n.A < 0 {
				return errors.New("negative")
			}
			if err := c.Reply(n.A + n.B); err != nil {
				return err
			}
		}
	})
	Main()
	os.Exit(m.Run())
}

func TestCalls(t *testing.T) {
	p, err := Start("add")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		var sum int
		if err := p.Call(numbers{i, 10}, &sum); err != nil || sum != i+10 {
			t.Fatalf("%d + 10 = %d, %v", i, sum, err)
		}
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsReachTheParent(t *testing.T) {
	var sum int
	if err := Once("add", numbers{A: -1}, &sum); err == nil || err.Error() != "negative" {
		t.Errorf("got %v, want the child's error", err)
	}
	if err := Once("no such handler", numbers{}, &sum); err == nil || !strings.Contains(err.Error(), "no such handler") {
		t.Errorf("got %v, want an error that names the handler", err)
	}
}
