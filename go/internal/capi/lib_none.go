//go:build !cgo || !(linux || darwin) || !(amd64 || arm64)

package capi

import _ "github.com/larder-cache/larder/go/lib/none" // doesn't compile, and says why
