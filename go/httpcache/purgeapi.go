package httpcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// PurgeHandler returns the handler of the purge API: POST with the parameters
// url, tag and prefix, each as often as needed, or all=true; and mode=soft or
// hard, hard if absent. It answers with what it has done, as JSON: how many of each
// it was given, and in "matched" how many stored responses it has touched, each
// variant and part counting as one. To count, it goes through all that is stored
// when the purge has taken effect, some 0.5 s per GiB; count=false spares it that,
// and "matched" is null. Where purges are shared (SharePurges), "fleet" is "told"; or why
// the others could not be told yet, and the status is 202. Parameters that it does not know, are empty or not what
// they should be are answered 400, and nothing is purged.
//
// It checks no credentials: mount it where only operators reach it.
func (c *Cache) PurgeHandler() http.Handler { return http.HandlerFunc(c.servePurge) }

type purgeResult struct {
	Mode     string `json:"mode,omitempty"`
	URLs     int    `json:"urls"`
	Tags     int    `json:"tags"`
	Prefixes int    `json:"prefixes"`
	All      bool   `json:"all"`
	Matched  *int   `json:"matched"`
	Fleet    string `json:"fleet,omitempty"`
	Error    string `json:"error,omitempty"`
}

const maxPurgeBody = 1 << 20

// purgeOrder is what the purge API has been asked to do.
type purgeOrder struct {
	mode     PurgeMode
	urls     []*url.URL
	prefixes []*url.URL
	tags     []string
	all      bool
	count    bool
}

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
	order, err := parsePurge(r.Form)
	if err != nil {
		replyPurge(w, http.StatusBadRequest, purgeResult{Error: err.Error()})
		return
	}
	result := purgeResult{
		Mode: "hard", All: order.all,
		URLs: len(order.urls), Tags: len(order.tags), Prefixes: len(order.prefixes),
	}
	if order.mode == Soft {
		result.Mode = "soft"
	}
	matched, counted, err := c.carryOut(order)
	if counted {
		result.Matched = &matched
	}
	status := http.StatusOK
	if err != nil {
		status, result.Fleet = http.StatusAccepted, err.Error()
	} else if c.shared.tell.Load() != nil {
		result.Fleet = "told"
	}
	replyPurge(w, status, result)
}

// parsePurge reads the parameters. Nothing is purged unless all of it can be.
func parsePurge(form url.Values) (o purgeOrder, err error) {
	o.count = true
	for name, values := range form {
		for _, value := range values {
			if strings.TrimSpace(value) == "" {
				return o, fmt.Errorf("%s is empty", name)
			}
			if value != values[0] && (name == "mode" || name == "all" || name == "count") {
				return o, fmt.Errorf("%s is given twice, as %q and %q", name, values[0], value)
			}
			if err := o.add(name, value); err != nil {
				return o, err
			}
		}
	}
	if len(o.urls) == 0 && len(o.tags) == 0 && len(o.prefixes) == 0 && !o.all {
		return o, fmt.Errorf("nothing to purge: give url, tag or prefix, or all=true")
	}
	return o, nil
}

func (o *purgeOrder) add(name, value string) error {
	switch name {
	case "url", "prefix":
		u, err := parsePurgeURL(value)
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, value)
		}
		switch {
		case name == "url":
			o.urls = append(o.urls, u)
		case u.RawQuery != "" || u.ForceQuery:
			return fmt.Errorf("prefix: the query is no part of one: %s", value)
		default:
			o.prefixes = append(o.prefixes, u)
		}
	case "tag":
		o.tags = append(o.tags, strings.TrimSpace(value)) // no tag begins or ends with blanks
	case "mode":
		switch value {
		case "hard":
			o.mode = Hard
		case "soft":
			o.mode = Soft
		default:
			return fmt.Errorf("mode must be soft or hard, not %q", value)
		}
	case "all":
		return parseFlag(&o.all, name, value)
	case "count":
		return parseFlag(&o.count, name, value)
	default:
		return fmt.Errorf("unknown parameter %q: there are url, tag, prefix, all, mode and count", name)
	}
	return nil
}

func parseFlag(flag *bool, name, value string) error {
	if *flag = value == "true"; !*flag && value != "false" {
		return fmt.Errorf("%s must be true or false, not %q", name, value)
	}
	return nil
}

// carryOut purges, and returns how many responses it has touched, if that was asked
// for and can be known. The error is that of telling others.
func (c *Cache) carryOut(o purgeOrder) (matched int, counted bool, err error) {
	var touched *census
	if o.count {
		touched = c.newCensus()
	}
	for _, u := range o.urls {
		for _, scheme := range [...]byte{schemeHTTP, schemeHTTPS} {
			key := c.uriKey(scheme, u)
			touched.removed(key, o.mode)
			c.purgeKey(key, o.mode)
		}
		err = errors.Join(err, c.told(orderURL, o.mode, u.String()))
	}
	for _, tag := range o.tags {
		err = errors.Join(err, c.purgeTag(tag, o.mode))
	}
	for _, u := range o.prefixes {
		c.purgePrefix(u, o.mode)
		err = errors.Join(err, c.told(orderPrefix, o.mode, u.String()))
	}
	if o.all {
		err = errors.Join(err, c.purgeAll(o.mode))
	}
	matched, counted = touched.count()
	return matched, counted, err
}

func replyPurge(w http.ResponseWriter, status int, result purgeResult) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(result) // the client is gone if it fails
}
