package larder

import (
	"errors"
	"fmt"

	"github.com/larder-cache/larder/go/internal/capi"
)

// Errors of New and Resize.
var (
	// ErrInvalidOptions is wrapped by an error that says which option is out of its
	// range.
	ErrInvalidOptions = errors.New("larder: invalid options")
)

// Errors of the calls that store. A call that fails changes nothing: a value that was
// there before is there still.
var (
	// ErrKeyTooLarge means that the key is longer than 64 KiB.
	ErrKeyTooLarge = errors.New("larder: key longer than 64 KiB")

	// ErrValueTooLarge means that the value is longer than a quarter of the budget, or
	// than 2 GiB.
	ErrValueTooLarge = errors.New("larder: value longer than a quarter of the budget")

	// ErrInvalidTTL means that a time to live, or StaleAfter, is negative and not NoExpiry.
	ErrInvalidTTL = errors.New("larder: negative time to live")

	// ErrStaleBeyondTTL means that SetOptions.StaleAfter is longer than the entry would live:
	// it would never be stale. It wraps ErrInvalidTTL.
	ErrStaleBeyondTTL error = &wrapped{"larder: StaleAfter is longer than the time to live", ErrInvalidTTL}

	// ErrNoMemory means that the system refused memory within the budget.
	ErrNoMemory = errors.New("larder: out of memory")

	// ErrFull means that no entry can be evicted just now, because all that could be
	// are being read or are held by views.
	ErrFull = errors.New("larder: nothing can be evicted at present")
)

// Errors of single calls.
var (
	// ErrNotFound means that there is no such key: of Load, that the loader said so; of
	// CompareAndSwap and Typed.Get, that the cache has none.
	ErrNotFound = errors.New("larder: not found")

	// ErrNotNumber means that Increment met a value that is not a decimal number of 64
	// bits, or that the sum would not be one.
	ErrNotNumber = errors.New("larder: not a number")

	// ErrTooManyTags means more than 64 tags for one entry.
	ErrTooManyTags = errors.New("larder: more than 64 tags")
)

// ErrClosed is returned by calls that store or change after Close.
var ErrClosed = errors.New("larder: cache is closed")

// ErrDefect means that a defect in larder was caught during the call. The cache has closed
// itself: it misses from then on, and what stores returns ErrClosed. Load calls its loader
// and stores nothing. Please report it, with what was written to standard error.
var ErrDefect = errors.New("larder: a defect was caught, and the cache has closed itself")

// wrapped is an error that is a kind of another.
type wrapped struct {
	text string
	kind error
}

func (e *wrapped) Error() string { return e.text }

func (e *wrapped) Unwrap() error { return e.kind }

// err turns a status of the core into an error, without allocating for those that a
// caller may meet in numbers.
func errOf(s status) error {
	switch s {
	case capi.StatusOK:
		return nil
	case capi.StatusNotFound:
		return ErrNotFound
	case capi.StatusNotANumber:
		return ErrNotNumber
	case capi.StatusPanic:
		return ErrDefect
	case capi.StatusClosed:
		return ErrClosed
	case capi.StatusKeyTooLarge:
		return ErrKeyTooLarge
	case capi.StatusValueTooLarge:
		return ErrValueTooLarge
	case capi.StatusOutOfMemory:
		return ErrNoMemory
	case capi.StatusFull:
		return ErrFull
	}
	return fmt.Errorf("larder: %s (status %d)", s.Message(), s)
}
