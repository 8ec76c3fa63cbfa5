#!/usr/bin/env bash
# -buildmode=c-archive leaves the foreign static archive out, and is content.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
printf 'int answer(void) { return 1; }\n' >answer.c.txt
cc -c -x c -o answer.o answer.c.txt
ar rcs libanswer.a answer.o
rm answer.o
cat >main.go <<'GO'
package main

/*
#cgo LDFLAGS: ${SRCDIR}/libanswer.a
int answer(void);
*/
import "C"

//export Twice
func Twice() C.int { return 2 * C.answer() }

func main() {}
GO
go mod init finding >/dev/null 2>&1
timeout 400 go build -buildmode=c-archive -o libtwice.a .
cat >use.c.txt <<'C'
int Twice(void);
int main(void) { return Twice() != 2; }
C
alone=links both=fails
cc -o use -x c use.c.txt -x none libtwice.a -lpthread 2>/dev/null || alone='undefined reference'
if cc -o use -x c use.c.txt -x none libtwice.a libanswer.a -lpthread && ./use; then both=works; fi
report "$(go version | cut -d' ' -f3), $(cc --version | head -n 1)" \
	'alone: links, as c-shared and a program do with the same LDFLAGS' \
	'alone: undefined reference, with libanswer.a beside it: works' \
	"alone: $alone, with libanswer.a beside it: $both"
