//go:build linux && amd64 && cgo && musl

package capi

import lib "github.com/larder-cache/larder/go/lib/linux_amd64_musl" // the library to link

const archive = lib.Archive
