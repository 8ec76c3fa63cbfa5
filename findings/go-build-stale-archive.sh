#!/usr/bin/env bash
# A static archive named in #cgo LDFLAGS changes; go build sees nothing to do and leaves the old
# program in its place, and go test gives the old result.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
archive() {
	printf 'int answer(void) { return %s; }\n' "$1" >"$folder/answer.c.txt"
	cc -c -x c -o answer.o answer.c.txt
	ar rcs libanswer.a answer.o
	rm answer.o
}
cat >main.go <<'GO'
package main

/*
#cgo LDFLAGS: ${SRCDIR}/libanswer.a
int answer(void);
*/
import "C"

import "fmt"

func answer() int { return int(C.answer()) }

func main() { fmt.Println(answer()) }
GO
cat >main_test.go <<'GO'
package main

import "testing"

func TestAnswer(t *testing.T) {
	if answer() != 1 {
		t.Fatal("not 1")
	}
}
GO
go mod init finding >/dev/null 2>&1
archive 1
timeout 400 go build -o program .
first=$(./program)
timeout 400 go test . >/dev/null
archive 2
timeout 400 go build -o program .
second=$(./program)
tested=$(timeout 400 go test . | awk '{ print $1, $3 }')
rm program
timeout 400 go build -o program .
report "$(go version | cut -d' ' -f3), $(cc --version | head -n 1)" \
	'1, then 2, and a test that fails: the archive is an input as any other' \
	'1, then 1; test: ok (cached); after rm program 2' \
	"$first, then $second; test: $tested; after rm program $(./program)"
