#!/usr/bin/env bash
# The recorder of handlers' tests keeps the interim 103 as the response: the 200 is not seen.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2119
now=$(go_program <<'GO'
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
)

func main() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload; as=style")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Cache-Control", "max-age=60")
		w.WriteHeader(http.StatusOK)
	})
	server := httptest.NewServer(handler)
	defer server.Close()
	response, err := http.Get(server.URL)
	if err != nil {
		panic(err)
	}
	_ = response.Body.Close()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	result := recorder.Result()
	fmt.Printf("server %d %q, recorder %d %q\n", response.StatusCode,
		response.Header.Get("Cache-Control"), result.StatusCode, result.Header.Get("Cache-Control"))
}
GO
)
report "$(go version | cut -d' ' -f3) net/http/httptest" \
	'the same from both: 200 "max-age=60"' \
	'server 200 "max-age=60", recorder 103 ""' "$now"
