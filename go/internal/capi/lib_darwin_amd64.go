//go:build cgo

package capi

import lib "github.com/larder-cache/larder/go/lib/darwin_amd64" // the library to link

const archive = lib.Archive
