#!/usr/bin/env bash
# A response whose only directive is "immutable" is fresh for a thousand days, not for one: the
# option is in milliseconds, the lifetime it becomes is in seconds.
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"
npm install --silent --no-audit --no-fund --ignore-scripts http-cache-semantics@4.2.0 >&2
now=$(timeout 60 node - <<'JS'
const CachePolicy = require('http-cache-semantics');
const request = {method: 'GET', url: '/', headers: {}};
const headers = {'cache-control': 'immutable', date: new Date().toUTCString()};
const policy = new CachePolicy(request, {status: 200, headers}, {immutableMinTimeToLive: 86400e3});
console.log('days:', policy.maxAge() / 86400);
JS
)
report 'http-cache-semantics 4.2.0 (npm)' \
	'days: 1, as the option says (24*3600*1000 ms, also the default); by RFC 8246 none at all' \
	'days: 1000' "$now"
