// Package darwin_amd64 links the library of package larder for
// macOS on amd64.
//
// It is a package of its own, so that a build takes along the archive of its own
// platform only, and go mod vendor keeps it. make lib puts liblarder.a here: one
// object, of whose functions only those are global that begin with larder_.
package darwin_amd64

// #cgo CFLAGS: -I${SRCDIR}
// #cgo LDFLAGS: ${SRCDIR}/liblarder.a
// #if !__has_include("liblarder.a")
// #error "larder's archive for this platform is missing: GOOS=darwin GOARCH=amd64 make lib"
// #endif
import "C"
