#!/usr/bin/env bash
# A handler's "no-transform" does not keep the compressing middleware from transforming.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/klauspost/compress@v1.20.3 <<'GO'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/klauspost/compress/gzhttp"
)

func main() {
	handler := gzhttp.GzipHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60, no-transform")
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("ETag", `"v1"`)
		_, _ = io.WriteString(w, strings.Repeat("as it is, ", 1000))
	}))
	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Accept-Encoding", "gzip")
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	header := recorder.Result().Header
	fmt.Println(header.Get("Content-Encoding"), header.Get("Cache-Control"), header.Get("ETag"))
}
GO
)
report 'klauspost/compress v1.20.3, package gzhttp' \
	'no Content-Encoding: RFC 9110 (7.7) lets nobody on the way recode it' \
	'gzip max-age=60, no-transform "v1"' "$now"
