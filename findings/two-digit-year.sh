#!/usr/bin/env bash
# An Expires in RFC 850's form: Go and Python turn the century at 69, Node at 50, and the rule of
# HTTP at fifty years from now.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
dates=('Saturday, 06-Nov-60 08:49:37 GMT' 'Wednesday, 06-Nov-75 08:49:37 GMT')
now=
for date in "${dates[@]}"; do
	python=$(python3 -c 'import email.utils, sys
print(email.utils.parsedate_to_datetime(sys.argv[1]).year)' "$date")
	node=$(node -e 'console.log(new Date(process.argv[1]).getUTCFullYear())' "$date")
	export date
	# shellcheck disable=SC2119
	go=$(go_program <<'GO'
package main

import (
	"fmt"
	"net/http"
	"os"
)

func main() {
	when, err := http.ParseTime(os.Getenv("date"))
	if err != nil {
		panic(err)
	}
	fmt.Println(when.Year())
}
GO
	)
	now+="${date:0-15:2}: Go $go Python $python Node $node; "
done
report "$(go version | cut -d' ' -f3), $(python3 --version), Node $(node --version)" \
	'2060 and 2075 from all: RFC 9110 (5.6.7) wants the future up to 50 years from now' \
	'60: Go 2060 Python 2060 Node 1960; 75: Go 1975 Python 1975 Node 1975; ' "$now"
