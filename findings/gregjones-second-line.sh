#!/usr/bin/env bash
# Only the first of two Cache-Control lines is read, and Vary: * not at all: hits, where each
# response asks for validation.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
now=$(go_program github.com/gregjones/httpcache@v0.0.0-20190611155906-901d90724c79 <<'GO'
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gregjones/httpcache"
)

func main() {
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Add("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/two-lines":
			w.Header().Add("Cache-Control", "no-cache")
		case "/vary":
			w.Header().Set("Vary", "*")
		}
		fmt.Fprint(w, "call ", calls)
	}))
	defer server.Close()
	client := httpcache.NewMemoryCacheTransport().Client()
	for _, path := range []string{"/two-lines", "/two-lines", "/vary", "/vary"} {
		response, err := client.Get(server.URL + path)
		if err != nil {
			panic(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		fmt.Printf("%s %s; ", path, body)
	}
}
GO
)
report 'gregjones/httpcache 901d90724c79' \
	'four calls: lines are one list (RFC 9110, 5.3), Vary: * matches nothing (RFC 9111, 4.1)' \
	'/two-lines call 1; /two-lines call 1; /vary call 2; /vary call 2; ' "$now"
