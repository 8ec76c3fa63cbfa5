// Package airports is the upstream that the gateway brings along: a small JSON
// service over a real open data set, slow enough that a cache in front of it
// shows.
//
// It stands for any microservice behind a gateway, and behaves like a good one:
// every response has a strong ETag, a Last-Modified date, a Cache-Control that
// fits what it is, and surrogate keys that name the records in it.
//
//	GET /airports?country=FR&type=large_airport&limit=20&offset=0
//	GET /airports/{ident}                  by ICAO ident or IATA code
//	GET /airports/{ident}/nearby?radius_km=200&limit=10
//	GET /search?q=paris
//	GET /countries                         GET /countries/{code}
//	GET /regions/{code}
//	GET /status                            changes at every request: no-store
//	GET /healthz                           answers at once
package airports
