#!/usr/bin/env bash
# JSON-LD's keyword "@reverse" is also a modifier: asking for that member gives the document.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/tidwall/gjson@v1.20.1 <<'GO'
package main

import (
	"fmt"

	"github.com/tidwall/gjson"
)

func main() {
	document := `{"@type":"Person","@reverse":{"knows":"Ada"}}`
	for _, path := range []string{"@type", "@reverse", `\@reverse`} {
		fmt.Println(path, gjson.Get(document, path))
	}
}
GO
)
report 'tidwall/gjson v1.20.1' \
	'the member, as for "@type": a key that is there comes before a function of that name' \
	'@type Person
@reverse {"@reverse":{"knows":"Ada"},"@type":"Person"}
\@reverse {"knows":"Ada"}' "$now"
