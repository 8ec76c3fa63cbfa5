#!/usr/bin/env bash
# Names of directives know no case (RFC 9111, 5.2), but three HTTP caches do not know "Max-Age".
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
line='Public, Max-Age=60'
python=$(python_with CacheControl==0.14.3 <<PY
from cachecontrol.controller import CacheController
print(CacheController().parse_cache_control({"cache-control": "$line"}).get("max-age"))
PY
)
npm install --silent --no-audit --no-fund --ignore-scripts http-cache-semantics@4.2.0 >&2
node=$(timeout 60 node - <<JS
const CachePolicy = require('http-cache-semantics');
const headers = {'cache-control': '$line', date: new Date().toUTCString()};
const request = {method: 'GET', url: '/', headers: {}};
console.log(new CachePolicy(request, {status: 200, headers}).maxAge());
JS
)
go=$(go_program github.com/gregjones/httpcache@v0.0.0-20190611155906-901d90724c79 <<GO
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/gregjones/httpcache"
)

func main() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "$line")
	}))
	defer server.Close()
	client := httpcache.NewMemoryCacheTransport().Client()
	for range 2 {
		response, err := client.Get(server.URL)
		if err != nil {
			panic(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		fmt.Printf("%q ", response.Header.Get(httpcache.XFromCache))
	}
}
GO
)
modules='http-cache-semantics 4.2.0 (npm), gregjones/httpcache 901d90724c79'
report "CacheControl 0.14.3 (PyPI), $modules" \
	'60, 60, and a hit ("" "1")' 'None, 0, "" "" ' "$python, $node, $go"
