// Package linux_amd64 links the library of package larder for
// Linux on amd64.
//
// It is a package of its own, so that a build takes along the archive of its own
// platform only, and go mod vendor keeps it. make lib puts liblarder.a here: one
// relocatable object, whose functions begin with larder_ and are hidden from everything but
// the program that it is linked into.
package linux_amd64

// -z now: everything is bound when the program is loaded. The fast path runs on small
// stacks, which the lazy binding of a first call could overflow.

// -static-libgcc: the unwinder that a caught panic needs comes along, and the program needs
// libc alone, as in the smallest of images.

// #cgo CFLAGS: -I${SRCDIR}
// #cgo LDFLAGS: ${SRCDIR}/liblarder.a -lpthread -ldl -lm -static-libgcc -Wl,-z,now
// #if !__has_include("liblarder.a")
// #error "larder's archive for this platform is missing: GOOS=linux GOARCH=amd64 make lib"
// #endif
import "C"
