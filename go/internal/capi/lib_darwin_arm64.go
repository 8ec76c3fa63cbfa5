//go:build cgo

package capi

import lib "github.com/larder-cache/larder/go/lib/darwin_arm64" // the library to link

const archive = lib.Archive
