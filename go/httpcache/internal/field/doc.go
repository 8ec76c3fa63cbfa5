// Package field parses what HTTP header fields hold: lists, tokens, dates, Cache-Control,
// Structured Fields. Its functions are pure: they know of no cache, no clock and no options,
// and read strings that anyone may have written. They are safe for concurrent use.
package field
