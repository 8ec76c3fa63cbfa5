package config

import "time"

// defaultTimeout is what a file changes.
var defaultTimeout = Timeout{
	Connect: 5 * time.Second, Header: 30 * time.Second, Body: time.Minute,
	Queue: 10 * time.Second, Idle: 90 * time.Second, Age: time.Minute,
	Ping: 5 * time.Second, Continue: time.Second,
}

// UnmarshalYAML reads a Timeout over the defaults: one that is stated must not switch
// the others off.
func (t *Timeout) UnmarshalYAML(decode func(any) error) error {
	type plain Timeout // without this method
	p := plain(defaultTimeout)
	if err := decode(&p); err != nil {
		return err
	}
	*t = Timeout(p)
	t.stated = true
	return nil
}
