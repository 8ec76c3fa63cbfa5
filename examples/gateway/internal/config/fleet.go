package config

import (
	"strings"
	"time"
)

// Fleet says with which other gateways this one shares its purges, by way of a server that
// they have in common: Valkey, Redis or larder-server.
type Fleet struct {
	// Server is its address, such as 127.0.0.1:6379. Empty: this gateway is on its own.
	Server string `yaml:"server"`
	// TLS lets the connection to it be encrypted.
	TLS bool `yaml:"tls"`
	// User and the first line of PasswordFile are the credentials for it. Without the file
	// there are none.
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	// Name is of the fleet: gateways of another name don't hear of each other's purges.
	Name string `yaml:"name"`
	// MaxStaleness is the longest time that a purge may take to be effective elsewhere, also
	// on a gateway that can't reach the server: what that holds it drops then.
	MaxStaleness time.Duration `yaml:"max_staleness"`
	// Wait lets the purge API answer when the purge is effective everywhere.
	Wait bool `yaml:"wait"`

	password string
}

// Password returns what is in PasswordFile.
func (f *Fleet) Password() string { return f.password }

func (f *Fleet) readPassword() (err error) {
	if f.PasswordFile != "" {
		f.password, err = firstLine("fleet.password_file", f.PasswordFile)
	}
	return err
}

func (f *Fleet) validate(p *problems) {
	p.address("fleet.server", f.Server, true)
	const least, most = time.Second, time.Hour
	p.check(f.MaxStaleness >= least && f.MaxStaleness <= most, "fleet.max_staleness",
		"%v is not from %v to %v", f.MaxStaleness, least, most)
	p.check(f.Name != "" && len(f.Name) <= 64 && !strings.ContainsAny(f.Name, "{}"), "fleet.name",
		"%q must have 1 to 64 bytes, and no braces", f.Name)
	p.check(f.User == "" || f.PasswordFile != "", "fleet.user", "needs a password_file")
}
