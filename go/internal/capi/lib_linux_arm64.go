//go:build cgo

package capi

import _ "github.com/larder-cache/larder/go/lib/linux_arm64" // the library to link
