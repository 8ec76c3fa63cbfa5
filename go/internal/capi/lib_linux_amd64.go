//go:build cgo

package capi

import _ "github.com/larder-cache/larder/go/lib/linux_amd64" // the library to link
