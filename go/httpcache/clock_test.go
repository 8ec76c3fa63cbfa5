package httpcache

import (
	"sync/atomic"
	"testing"
	"time"
)

// twoClocks is a rig whose wall clock can be set while time goes on.
type twoClocks struct {
	*rig
	passed  atomic.Int64 // by Options.Elapsed
	setTo   atomic.Int64 // what the wall clock is off by
	started time.Time
}

func newTwoClocks(t *testing.T) *twoClocks {
	c := &twoClocks{started: newClock().now()}
	o := Options{
		Elapsed: func() time.Duration { return time.Duration(c.passed.Load()) },
		Now: func() time.Time {
			return c.started.Add(time.Duration(c.passed.Load() + c.setTo.Load()))
		},
	}
	c.rig = newRigAt(t, o)
	return c
}

func (c *twoClocks) pass(d time.Duration) { c.passed.Add(int64(d)) }
func (c *twoClocks) set(d time.Duration)  { c.setTo.Add(int64(d)) }

// A wall clock that is set back does not lengthen a response's life, with or without Date, and
// neither does one that is set forward end it.
func TestClockIsSet(t *testing.T) {
	for _, header := range [][]string{
		{"Cache-Control: max-age=60"},
		{"Cache-Control: max-age=60", "Date: Sun, 01 Mar 2026 12:00:00 GMT"},
		{"Expires: Sun, 01 Mar 2026 12:01:00 GMT", "Date: Sun, 01 Mar 2026 12:00:00 GMT"},
	} {
		for _, step := range []time.Duration{-time.Hour, time.Hour, 30 * 24 * time.Hour} {
			c := newTwoClocks(t)
			c.rig.set(reply(200, "one", header...))
			c.get("/")
			c.set(step)
			c.pass(59 * sec)
			if rec := c.get("/"); rec.Body.String() != "one" || rec.Header().Get("Age") != "59" {
				t.Errorf("%q, set by %v: %q with Age %q after 59 s", header, step, rec.Body, rec.Header()["Age"])
			}
			c.pass(sec)
			c.rig.set(reply(200, "two"))
			if rec := c.get("/"); rec.Body.String() != "two" {
				t.Errorf("%q, set by %v: %q after 60 s, Age %q", header, step, rec.Body, rec.Header()["Age"])
			}
		}
	}
}

// A 304 without Date is of now, whatever the clock was set to in between.
func TestClockIsSetBeforeValidation(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		c := newTwoClocks(t)
		c.rig.set(reply(200, "one", "Cache-Control: max-age=60", etag))
		c.get("/")
		c.set(step)
		c.pass(61 * sec)
		c.rig.set(reply(304, "", "Cache-Control: max-age=60"))
		c.get("/")
		c.pass(59 * sec)
		c.rig.set(nil)
		if rec := c.get("/"); rec.Body.String() != "one" || rec.Header().Get("Age") != "59" {
			t.Errorf("set by %v: %d %q, Age %q", step, rec.Code, rec.Body, rec.Header()["Age"])
		}
	}
}

// With Now alone, age is what it has gone forward.
func TestNowSetBack(t *testing.T) {
	r := newRig(t, Options{})
	r.clock.advance(time.Hour)
	r.set(reply(200, "one", "Cache-Control: max-age=60"))
	r.get("/")
	r.clock.advance(-time.Hour)
	r.get("/")
	r.clock.advance(59 * sec)
	if rec := r.get("/"); rec.Body.String() != "one" {
		t.Fatalf("after 59 s: %q", rec.Body)
	}
	r.clock.advance(sec)
	r.set(reply(200, "two"))
	if rec := r.get("/"); rec.Body.String() != "two" {
		t.Errorf("after 60 s: %q with Age %q", rec.Body, rec.Header()["Age"])
	}
}

// Without either, the clock goes on with the system's.
func TestClockIsTheSystems(t *testing.T) {
	c := newCache(newMemory(time.Now), Options{})
	defer c.Close()
	for range 1000 {
		before := sinceStart(time.Since(started))
		now := c.now()
		if after := sinceStart(time.Since(started)); now < before || now > after {
			t.Fatalf("the clock says %d between %d and %d", now, before, after)
		}
	}
}
