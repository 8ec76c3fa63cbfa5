package config

import (
	"fmt"
)

// minToken keeps tokens from being guessed.
const minToken = 16

// Secret returns the token that the admin pages demand; empty: none.
func (a *Admin) Secret() string { return a.secret }

// readToken gets the token from where it is.
func (a *Admin) readToken() error {
	a.secret = a.Token
	if a.TokenFile == "" || a.Token != "" {
		return nil
	}
	var err error
	if a.secret, err = firstLine("admin.token_file", a.TokenFile); err != nil {
		return err
	}
	if len(a.secret) < minToken {
		return fmt.Errorf("admin.token_file: the first line has fewer than %d characters", minToken)
	}
	return nil
}

func (a *Admin) validate(p *problems) {
	p.check(a.Token == "" || a.TokenFile == "", "admin", "token and token_file exclude each other")
	p.check(a.Token == "" || len(a.Token) >= minToken, "admin.token",
		"has fewer than %d characters", minToken)
	for i, host := range a.Hosts {
		p.check(isHost(host), fmt.Sprintf("admin.hosts[%d]", i),
			"%q is not a name in lower case, without a port", host)
	}
}
