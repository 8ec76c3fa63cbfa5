// Package upstream sends requests to pools of servers.
//
// A Pool is an http.RoundTripper: it chooses a target (balance.go) among those
// that are well (health.go) and whose breaker lets it through (breaker.go), and repeats
// requests that are safe to repeat (retry.go) within a budget (budget.go). What one
// request to one target needs is in exchange.go, its connection in conn.go.
// Proxy (proxy.go) is the http.Handler in front of it.
package upstream
