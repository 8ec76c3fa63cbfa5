#!/usr/bin/env bash
# One scalar, two kinds: 1e3 is a number for a field of int or float64, and text for an any.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/goccy/go-yaml@v1.19.2 <<'GO'
package main

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

func main() {
	for _, text := range []string{"v: 1e3", "v: 1.0e3", "v: 08"} {
		var loose struct{ V any }
		var whole struct{ V int }
		errLoose := yaml.Unmarshal([]byte(text), &loose)
		errWhole := yaml.Unmarshal([]byte(text), &whole)
		fmt.Printf("%s: any %T, int %d (%v %v)\n", text, loose.V, whole.V, errLoose, errWhole)
	}
}
GO
)
report 'goccy/go-yaml v1.19.2' \
	'1e3 a float and 08 the number 8 in both: so says the core schema of YAML 1.2 (10.3.2)' \
	'v: 1e3: any string, int 1000 (<nil> <nil>)
v: 1.0e3: any float64, int 1000 (<nil> <nil>)
v: 08: any string, int 8 (<nil> <nil>)' "$now"
