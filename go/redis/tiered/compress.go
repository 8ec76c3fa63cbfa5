package tiered

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
)

// Compressor makes values shorter. Its methods are called by many goroutines at once.
type Compressor interface {
	// Compress appends what src becomes to dst. What isn't shorter is not used.
	Compress(dst, src []byte) []byte
	// Decompress appends what src was to dst. It returns an error, and takes no more memory,
	// if that would be more than limit bytes.
	Decompress(dst, src []byte, limit int) ([]byte, error)
}

// Deflate is a Compressor of the standard library's. That of another library, for Zstandard
// for instance, is a few lines.
func Deflate() Compressor { return deflate{} }

type deflate struct{}

var deflaters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // the level is a good one
	return w
}}

func (deflate) Compress(dst, src []byte) []byte {
	out := bytes.NewBuffer(dst)
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(out)
	w.Write(src) // a Buffer takes everything
	w.Close()
	return out.Bytes()
}

var errTooLong = errors.New("tiered: a compressed value is longer than it says")

func (deflate) Decompress(dst, src []byte, limit int) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(src))
	out := bytes.NewBuffer(dst)
	n, err := io.Copy(out, io.LimitReader(r, int64(limit)+1))
	if err == nil && n > int64(limit) {
		err = errTooLong
	}
	return out.Bytes(), err
}
