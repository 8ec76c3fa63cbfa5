// Package linux_amd64 links the library of package larder for Linux on amd64.
//
// It is a package of its own, so that a build takes along the archive of its own
// platform only, and go mod vendor keeps it. make lib puts liblarder.a here: one
// relocatable object that exports nothing but functions that begin with larder_.
package linux_amd64

// -z now: everything is bound when the program is loaded. The fast path runs on small
// stacks, which the lazy binding of a first call could overflow.

// #cgo LDFLAGS: ${SRCDIR}/liblarder.a -lpthread -ldl -lm -Wl,-z,now
import "C"
