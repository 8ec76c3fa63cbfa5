package httpcache

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// PurgeMode says what a purge does to the responses it selects.
type PurgeMode uint8

const (
	// Hard makes them unusable.
	Hard PurgeMode = iota
	// Soft makes them stale: they are revalidated before their next use, and
	// stay usable within their stale-while-revalidate and stale-if-error
	// windows.
	Soft
)

// ErrPurgeURL is returned for a URL that is not absolute or not http or https.
var ErrPurgeURL = errors.New("httpcache: not an absolute http or https URL")

func parsePurgeURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.Join(ErrPurgeURL, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, ErrPurgeURL
	}
	if u.Scheme == "https" {
		u.Host = trimPort(u.Host, schemeHTTPS)
	} else {
		u.Host = trimPort(u.Host, schemeHTTP)
	}
	return u, nil
}

// PurgeURL purges the responses of one absolute URL, whatever their variant,
// and under http and https alike: behind a proxy that ends TLS the two cannot
// be told apart. Like all purges it has taken effect when it returns, and
// covers responses that are being fetched.
func (c *Cache) PurgeURL(rawURL string, mode PurgeMode) error {
	u, err := parsePurgeURL(rawURL)
	if err != nil {
		return err
	}
	for _, scheme := range [...]byte{schemeHTTP, schemeHTTPS} {
		if key := c.uriKey(scheme, u); mode == Soft {
			c.soften(key)
		} else {
			c.invalidate(key)
		}
	}
	return nil
}

// PurgeTag purges every response that carries the tag in one of
// Options.TagFields. Cost and memory do not depend on how many those are. The
// newest 64 Ki purged tags are told apart; beyond that a purge may take older
// responses with other tags along.
func (c *Cache) PurgeTag(tag string, mode PurgeMode) {
	c.shared.purges.purgeTag(surrogateTag(tag), mode)
}

// PurgePrefix purges every response whose URL starts with the absolute URL
// prefix, under http and https alike; the query is not part of it. The newest
// 32 prefixes are told apart; beyond that the oldest are widened to what they
// have in common.
func (c *Cache) PurgePrefix(rawURL string, mode PurgeMode) error {
	u, err := parsePurgeURL(rawURL)
	if err != nil {
		return err
	}
	c.shared.purges.purgePrefix(prefixKey(schemeHTTP, u), mode)
	c.shared.purges.purgePrefix(prefixKey(schemeHTTPS, u), mode)
	return nil
}

// PurgeAll purges every response.
func (c *Cache) PurgeAll(mode PurgeMode) { c.shared.purges.purgeAll(mode) }

// PurgeHandler returns the handler of the purge API: POST with the parameters
// url, tag and prefix, each as often as needed, or all=true; and mode=soft or
// hard, hard if absent. It answers with what it has done, as JSON. It checks no
// credentials: mount it where only operators reach it.
func (c *Cache) PurgeHandler() http.Handler { return http.HandlerFunc(c.servePurge) }

type purgeResult struct {
	Mode     string `json:"mode,omitempty"`
	URLs     int    `json:"urls"`
	Tags     int    `json:"tags"`
	Prefixes int    `json:"prefixes"`
	All      bool   `json:"all"`
	Error    string `json:"error,omitempty"`
}

const maxPurgeBody = 1 << 20

func (c *Cache) servePurge(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		replyPurge(w, http.StatusMethodNotAllowed, purgeResult{Error: "use POST"})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxPurgeBody)
	if err := r.ParseForm(); err != nil {
		replyPurge(w, http.StatusBadRequest, purgeResult{Error: err.Error()})
		return
	}
	result := purgeResult{Mode: "hard"}
	mode := Hard
	switch r.Form.Get("mode") {
	case "", "hard":
	case "soft":
		result.Mode, mode = "soft", Soft
	default:
		replyPurge(w, http.StatusBadRequest, purgeResult{Error: "mode must be soft or hard"})
		return
	}
	// Nothing is purged unless all of it can be.
	for _, raw := range append(r.Form["url"], r.Form["prefix"]...) {
		if _, err := parsePurgeURL(raw); err != nil {
			replyPurge(w, http.StatusBadRequest, purgeResult{Error: err.Error() + ": " + raw})
			return
		}
	}
	for _, raw := range r.Form["url"] {
		c.PurgeURL(raw, mode)
		result.URLs++
	}
	for _, tag := range r.Form["tag"] {
		c.PurgeTag(tag, mode)
		result.Tags++
	}
	for _, raw := range r.Form["prefix"] {
		c.PurgePrefix(raw, mode)
		result.Prefixes++
	}
	if r.Form.Get("all") == "true" {
		c.PurgeAll(mode)
		result.All = true
	}
	replyPurge(w, http.StatusOK, result)
}

func replyPurge(w http.ResponseWriter, status int, result purgeResult) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(result) // the client is gone if it fails
}
