package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// Load reads, completes and validates a configuration file. Its error names the
// place of everything that is wrong.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Parse is Load for the text of a file. Unknown names are errors: a misspelt
// option must not pass for a default.
func Parse(text []byte) (*Config, error) {
	if err := checkScalars(text); err != nil {
		return nil, err
	}
	c := Default()
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(c)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s", yaml.FormatError(err, false, true))
	}
	return c, c.Finish()
}

// Finish fills in the defaults of what is there and validates it all.
func (c *Config) Finish() error {
	readErr := errors.Join(c.Admin.readToken(), c.Fleet.readPassword())
	for _, u := range c.Upstreams {
		if u != nil {
			u.setDefaults()
		}
	}
	for _, r := range c.Routes {
		if r != nil {
			r.setDefaults()
		}
	}
	return errors.Join(readErr, c.validate())
}

// firstLine returns the first line of a file that an option names, without blanks around it.
func firstLine(option, path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first), nil
}
