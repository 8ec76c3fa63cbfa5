// Package trace reads cache traces: sequences of keys, perhaps with sizes, times and times to live.
//
// The format is told by the file's name, after taking off .gz, .zst or .xz, or by Options:
//
//	.lis            ARC: four numbers a line, first key, count, and two that don't matter: count consecutive keys
//	.lirs           LIRS: a key a line; lines with * are marks between phases
//	.txt            a key a line, any text without blanks or separators
//	.sizes          time, key and size in bytes a line
//	.csv            columns, told by a header (key, size, op, ttl, op_count, op_time: Meta's traces of key-value caches and of a CDN
//	                have one) or by Options.Columns (libCacheSim's)
//	.twitter        Twitter's: timestamp, key, size of the key, of the value, client, operation, time to live
//	.oracleGeneral  libCacheSim's binary records
//	.vscsi          CloudPhysics' binary records, of version 1 or 2
//	.be32, .be64    keys as big-endian 32- or 64-bit numbers
//	.u32            keys as little-endian 32-bit numbers
//
// Whatever doesn't look like its format is an error.
package trace

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Trace is a sequence of requests. Keys are numbered from 0 in the order in which they first occur.
type Trace struct {
	Name     string
	Keys     []uint32
	Distinct int
	// Sizes is the size of each request's object in bytes, or nil if the trace has no sizes.
	Sizes []uint32
	// Times is when each request came, in seconds from the first one, and TTLs how long its object lives, in seconds, 0 for
	// ever; nil if the trace doesn't say.
	Times []uint32
	TTLs  []uint32
}

// Options say what a file's name doesn't.
type Options struct {
	Format  string  // one of Formats; "": by the name
	Columns Columns // of .csv; the zero value: by its header
}

// Formats are the extensions that Load knows, without those of compression.
var Formats = []string{
	".lis", ".lirs", ".txt", ".sizes", ".csv", ".twitter", ".oracleGeneral", ".vscsi", ".be32", ".be64", ".u32",
}

// Format returns the extension that tells the format of the named file, or "" if it is no trace.
func Format(name string) string {
	for _, compression := range []string{".gz", ".zst", ".xz"} {
		name = strings.TrimSuffix(name, compression)
	}
	if ext := filepath.Ext(strings.TrimSuffix(name, ".bin")); ext == ".oracleGeneral" {
		return ext
	}
	if ext := filepath.Ext(name); slices.Contains(Formats, ext) {
		return ext
	}
	return ""
}

// Name returns what a trace in the named file is called: the file's name without folder and extensions.
func Name(file string) string {
	base := filepath.Base(file)
	if ext := Format(base); ext != "" {
		return base[:strings.LastIndex(base, ext)]
	}
	return base
}

// Load reads a trace from a file whose name tells its format.
func Load(file string) (*Trace, error) { return LoadWith(file, Options{}) }

// LoadWith reads a trace from a file.
func LoadWith(file string, o Options) (*Trace, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, closeReader, err := decompress(file, f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	defer closeReader()
	if o.Format == "" {
		o.Format = Format(file)
	}
	t, err := ReadWith(r, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	t.Name = Name(file)
	return t, nil
}

func decompress(name string, r io.Reader) (io.Reader, func(), error) {
	r = bufio.NewReaderSize(r, 1<<20)
	switch filepath.Ext(name) {
	case ".gz":
		z, err := gzip.NewReader(r)
		return z, func() {}, err
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case ".xz":
		z, err := xz.NewReader(r)
		return z, func() {}, err
	}
	return r, func() {}, nil
}

// Read reads a trace of the given format, one of Formats.
func Read(r io.Reader, format string) (*Trace, error) { return ReadWith(r, Options{Format: format}) }

// ReadWith reads a trace of the format that the options name.
func ReadWith(r io.Reader, o Options) (*Trace, error) {
	b := newBuilder()
	var err error
	switch o.Format {
	case ".lis":
		err = b.lines(r, b.arcLine)
	case ".lirs":
		err = b.lines(r, b.lirsLine)
	case ".txt":
		err = b.lines(r, b.textLine)
	case ".sizes":
		err = b.lines(r, b.sizesLine)
	case ".csv":
		err = b.csv(r, o.Columns, 0)
	case ".twitter":
		err = b.csv(r, twitterColumns, 3)
	case ".oracleGeneral":
		err = b.oracleGeneral(r)
	case ".vscsi":
		err = b.vscsi(r)
	case ".be32":
		err = b.words(r, 4, binary.BigEndian)
	case ".be64":
		err = b.words(r, 8, binary.BigEndian)
	case ".u32":
		err = b.words(r, 4, binary.LittleEndian)
	default:
		err = fmt.Errorf("no trace format %q; there are %s", o.Format, strings.Join(Formats, " "))
	}
	if err != nil {
		return nil, err
	}
	if len(b.t.Keys) == 0 {
		return nil, errors.New("the trace is empty")
	}
	b.t.Distinct = len(b.numbers) + len(b.texts)
	return &b.t, nil
}

// builder gives keys their numbers. Most traces have numeric keys, which make a smaller and faster map.
type builder struct {
	t       Trace
	numbers map[uint64]uint32
	texts   map[string]uint32
	start   float64 // the time of the first request
}

func newBuilder() *builder {
	return &builder{numbers: map[uint64]uint32{}, texts: map[string]uint32{}}
}

func (b *builder) next() uint32 { return uint32(len(b.numbers) + len(b.texts)) }

func (b *builder) number(key uint64) {
	id, ok := b.numbers[key]
	if !ok {
		id = b.next()
		b.numbers[key] = id
	}
	b.t.Keys = append(b.t.Keys, id)
}

func (b *builder) text(key []byte) {
	// Only if the number prints as the same text are the two the same key.
	if n, err := strconv.ParseInt(string(key), 10, 64); err == nil {
		var digits [24]byte
		if bytes.Equal(strconv.AppendInt(digits[:0], n, 10), key) {
			b.number(uint64(n))
			return
		}
	}
	id, ok := b.texts[string(key)]
	if !ok {
		id = b.next()
		b.texts[string(key)] = id
	}
	b.t.Keys = append(b.t.Keys, id)
}

// lines calls read for each line that isn't empty.
func (b *builder) lines(r io.Reader, read func([]byte) error) error {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<16), 1<<20)
	for n := 1; s.Scan(); n++ {
		line := bytes.TrimSpace(s.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := read(line); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s.Err()
}

func (b *builder) arcLine(line []byte) error {
	fields := bytes.Fields(line)
	if len(fields) < 2 {
		return fmt.Errorf("%q has no count", line)
	}
	first, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.ParseUint(string(fields[1]), 10, 32)
	if err != nil {
		return err
	}
	for i := range count {
		b.number(first + i)
	}
	return nil
}

func (b *builder) lirsLine(line []byte) error {
	if string(line) == "*" {
		return nil
	}
	return b.textLine(line)
}

func (b *builder) textLine(line []byte) error {
	if err := mayBeText(line); err != nil {
		return err
	}
	b.text(line)
	return nil
}

func (b *builder) sizesLine(line []byte) error {
	fields := bytes.Fields(line)
	if len(fields) < 3 {
		return fmt.Errorf("%q is not time, key, size", line)
	}
	size, err := strconv.ParseUint(string(fields[2]), 10, 32)
	if err != nil {
		return err
	}
	b.text(fields[1])
	b.t.Sizes = append(b.t.Sizes, uint32(size))
	return nil
}

func (b *builder) words(r io.Reader, width int, order binary.ByteOrder) error {
	buf := make([]byte, width)
	for {
		switch _, err := io.ReadFull(r, buf); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
		if width == 4 {
			b.number(uint64(order.Uint32(buf)))
		} else {
			b.number(order.Uint64(buf))
		}
	}
}

// Concat plays traces one after the other. Traces of the same name share their keys; those of different names have none
// in common.
func Concat(name string, traces ...*Trace) *Trace {
	out := &Trace{Name: name}
	first := map[string]uint32{}
	for _, t := range traces {
		base, ok := first[t.Name]
		if !ok {
			base = uint32(out.Distinct)
			first[t.Name] = base
			out.Distinct += t.Distinct
		}
		for _, k := range t.Keys {
			out.Keys = append(out.Keys, base+k)
		}
	}
	return out
}
