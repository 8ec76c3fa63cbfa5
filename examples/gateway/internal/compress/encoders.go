package compress

import (
	"io"
	"maps"
	"slices"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// encoder is what the three libraries have in common.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// Encoders are large and are used again. The levels are above the libraries'
// fastest: what is compressed here is kept and served many times.
var encoders = map[string]*sync.Pool{
	"gzip": {New: func() any {
		w, err := gzip.NewWriterLevel(io.Discard, 6)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}},
	"br": {New: func() any { return brotli.NewWriterLevel(io.Discard, 5) }},
	"zstd": {New: func() any {
		w, err := zstd.NewWriter(io.Discard, zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
		if err != nil {
			panic(err) // the options are constants
		}
		return w
	}},
}

// names are those of the encoders.
var names = slices.Sorted(maps.Keys(encoders))
