#!/usr/bin/env bash
# A .gz padded with zeros to whole blocks: gzip and Python read it, Go fails after the last byte.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
printf 'a trace\n' | gzip -n >padded.gz
truncate -s 512 padded.gz
tool=$(gzip -dc padded.gz 2>&1)
python=$(python3 -c 'import gzip; print(gzip.open("padded.gz").read().decode().strip())')
# shellcheck disable=SC2119
go=$(go_program <<'GO'
package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

func main() {
	file, err := os.Open("padded.gz")
	if err != nil {
		panic(err)
	}
	defer file.Close()
	reader, err := gzip.NewReader(file)
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(reader)
	fmt.Printf("%q %v", text, err)
}
GO
)
others="$(gzip --version | head -n 1), $(python3 --version)"
report "$(go version | cut -d' ' -f3) compress/gzip, $others" \
	'the same from all three: gzip allows the padding that tapes and block devices leave' \
	'a trace / a trace / "a trace\n" gzip: invalid header' "$tool / $python / $go"
