//go:build !cgo || !(linux || darwin) || !(amd64 || arm64)

// Package none stands for the library where there is none. It doesn't compile, and
// says why before package larder fails to compile with less to say.
package none

// Build with CGO_ENABLED=1 and a C compiler, for Linux or macOS on amd64 or arm64.
var _ = package_larder_needs_cgo_and_Linux_or_macOS_on_amd64_or_arm64
