package httpcache

import (
	"errors"
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
// partition and spelling of the URL, and under http and https alike: behind a proxy
// that ends TLS the two cannot be told apart. With them go the responses that were
// made from them (AddSourceOf), and those that they were made from. Like all purges
// it has taken effect when it returns, and covers responses that are being fetched.
func (c *Cache) PurgeURL(rawURL string, mode PurgeMode) error {
	u, err := parsePurgeURL(rawURL)
	if err != nil {
		return err
	}
	c.purgeURL(u, mode)
	return c.told(orderURL, mode, u.String())
}

func (c *Cache) purgeURL(u *url.URL, mode PurgeMode) {
	for _, scheme := range [...]byte{schemeHTTP, schemeHTTPS} {
		c.purgeKey(c.uriKey(scheme, u), mode)
	}
}

// purgeKey purges the responses of a URI.
func (c *Cache) purgeKey(key []byte, mode PurgeMode) {
	sources := append(c.sourcesOf(key), c.ownSource(key))
	if mode == Soft {
		c.everywhere(key, c.soften)
	} else {
		c.everywhere(key, c.remove)
	}
	c.shared.purges.purgeTags(sources, mode)
}

// PurgeTag purges every response that carries the tag in one of
// Options.TagFields. Cost and memory do not depend on how many those are. The
// newest 64 Ki purged tags are told apart; beyond that a purge may take older
// responses with other tags along.
func (c *Cache) PurgeTag(tag string, mode PurgeMode) {
	c.purgeTag(tag, mode) // SharePurges has heard of the error
}

func (c *Cache) purgeTag(tag string, mode PurgeMode) error {
	c.shared.purges.purgeTag(surrogateTag(tag), mode)
	return c.told(orderTag, mode, tag)
}

// PurgePrefix purges every response whose URL starts with the absolute URL
// prefix, under http and https alike; the query is not part of it. The newest
// 32 prefixes are told apart; beyond that the oldest are widened to what they
// have in common. With them go, as with PurgeURL, what was made from them and what
// they were made from: to find that, all that is stored is looked at, some 0.5 s per
// GiB, if any response has named a source (AddSource).
func (c *Cache) PurgePrefix(rawURL string, mode PurgeMode) error {
	u, err := parsePurgeURL(rawURL)
	if err != nil {
		return err
	}
	c.purgePrefix(u, mode)
	return c.told(orderPrefix, mode, u.String())
}

func (c *Cache) purgePrefix(u *url.URL, mode PurgeMode) {
	plain, secure := prefixKey(schemeHTTP, u), prefixKey(schemeHTTPS, u)
	c.shared.purges.purgePrefix(plain, mode)
	c.shared.purges.purgePrefix(secure, mode)
	// Afterwards: what is stored from now on was asked for since, or has been purged.
	if tags := c.sourcesBelow(plain, secure); len(tags) > 0 {
		c.shared.purges.purgeTags(tags, mode)
	}
}

// PurgeAll purges every response.
func (c *Cache) PurgeAll(mode PurgeMode) { c.purgeAll(mode) }

func (c *Cache) purgeAll(mode PurgeMode) error {
	c.shared.purges.purgeAll(mode)
	return c.told(orderAll, mode, "")
}
