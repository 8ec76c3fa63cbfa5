package speed

import "github.com/larder-cache/larder/bench/internal/child"

const childName = "speed"

func init() { child.Register(childName, serve) }

// serve is the child: it makes and fills the cache, then measures what it is asked to.
func serve(conn *child.Conn) error {
	var s setup
	if err := conn.Receive(&s); err != nil {
		return err
	}
	w, err := newWorkload(s)
	if err != nil {
		return err
	}
	if err := conn.Reply(w.fill()); err != nil {
		return err
	}
	for {
		var r run
		if err := conn.Receive(&r); err != nil {
			return err
		}
		result, err := w.measure(r)
		if err != nil {
			return err
		}
		if err := conn.Reply(result); err != nil {
			return err
		}
	}
}
