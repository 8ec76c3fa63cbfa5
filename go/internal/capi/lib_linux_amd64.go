//go:build cgo && !musl

package capi

import lib "github.com/larder-cache/larder/go/lib/linux_amd64" // the library to link

const archive = lib.Archive
