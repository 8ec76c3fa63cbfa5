package trace

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Columns says where in a line of a CSV trace its parts stand, counted from 1; 0: there is no such column.
type Columns struct {
	Time, Key, Size, Op, TTL, Count int
	Header                          bool // the first line has the columns' names
	Separator                       byte // 0: found out from the first line: one of , tab ; |
}

// ParseColumns reads what libCacheSim's -t option of csv traces says, and more: parts separated by commas, each a name and the
// number of its column, such as "time-col=1,obj-id-col=2,obj-size-col=3,has-header=true,delimiter=;". The names may
// also be time, key, size, op, ttl, count; header; delimiter may be a tab, written \t.
func ParseColumns(text string) (Columns, error) {
	var c Columns
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		name = strings.TrimSuffix(strings.ToLower(name), "-col")
		switch name {
		case "header", "has-header":
			c.Header = !ok || value == "true" || value == "1"
			continue
		case "delimiter", "separator":
			value = strings.ReplaceAll(value, `\t`, "\t")
			if len(value) != 1 {
				return c, fmt.Errorf("columns: a delimiter of %d characters, and must be one", len(value))
			}
			c.Separator = value[0]
			continue
		}
		to := c.column(name)
		if to == nil {
			return c, fmt.Errorf("columns: %q is none of time, key, size, op, ttl, count, header, delimiter", name)
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return c, fmt.Errorf("columns: %s=%s is no column: they are counted from 1", name, value)
		}
		*to = n
	}
	if c.Key == 0 {
		return c, errors.New("columns: none for the key")
	}
	return c, nil
}

// column is where the number of a column of this name belongs. The names are those of the published traces' headers and
// of libCacheSim's options.
func (c *Columns) column(name string) *int {
	switch name {
	case "time", "timestamp", "op_time":
		return &c.Time
	case "key", "obj-id", "cachekey", "obj_id", "id", "lbn":
		return &c.Key
	case "size", "obj-size", "objectsize", "obj_size":
		return &c.Size
	case "op", "optype", "operation":
		return &c.Op
	case "ttl":
		return &c.TTL
	case "count", "op_count":
		return &c.Count
	}
	return nil
}

// columnsOf finds the columns by the names in a header.
func columnsOf(header []byte, separator byte) (Columns, error) {
	c := Columns{Header: true, Separator: separator}
	for i, name := range bytes.Split(header, []byte{separator}) {
		if to := c.column(strings.ToLower(strings.Trim(string(name), " \""))); to != nil && *to == 0 {
			*to = i + 1
		}
	}
	if c.Key == 0 {
		return c, fmt.Errorf("no column of %q is named key, cacheKey, obj_id or id: say which one is, with -columns key=N",
			header)
	}
	return c, nil
}

// twitterColumns: timestamp, key, key size, value size, client, operation, time to live. The size of an object is that of its
// key and value.
var twitterColumns = Columns{Time: 1, Key: 2, Size: 4, Op: 6, TTL: 7, Separator: ','}

// csv reads lines of columns. Operations that only write, or delete, are passed over: a cache in front of the source
// writes after a miss, which is what a replay does. Times to live are in seconds; 0, or none, is for ever.
func (b *builder) csv(r io.Reader, c Columns, keySize int) error {
	first := true
	return b.lines(r, func(line []byte) error {
		if first {
			first = false
			if c.Separator == 0 {
				c.Separator = separatorOf(line)
			}
			if c.Key == 0 {
				var err error
				c, err = columnsOf(line, c.Separator)
				return err
			}
			if c.Header {
				return nil
			}
		}
		return b.csvLine(bytes.Split(line, []byte{c.Separator}), c, keySize)
	})
}

// separatorOf is the character that divides a line the most often.
func separatorOf(line []byte) byte {
	best := byte(',')
	for _, s := range []byte{'\t', ';', '|'} {
		if bytes.Count(line, []byte{s}) > bytes.Count(line, []byte{best}) {
			best = s
		}
	}
	return best
}

func (b *builder) csvLine(fields [][]byte, c Columns, keySize int) error {
	if most := max(c.Time, c.Key, c.Size, c.Op, c.TTL, c.Count); len(fields) < most {
		return fmt.Errorf("%d columns, and %d are wanted", len(fields), most)
	}
	field := func(n int) []byte { return bytes.Trim(fields[n-1], " \"") }
	if c.Op > 0 && !reads(string(field(c.Op))) {
		return nil
	}
	key := field(c.Key)
	if len(key) == 0 {
		return errors.New("an empty key")
	}
	size, ttl, count := uint64(0), uint64(0), uint64(1)
	for _, n := range []struct {
		column int
		name   string
		to     *uint64
	}{{c.Size, "size", &size}, {c.TTL, "ttl", &ttl}, {c.Count, "count", &count}} {
		if n.column == 0 {
			continue
		}
		text := field(n.column)
		v, err := strconv.ParseFloat(string(text), 64)
		if len(text) == 0 || n.name == "ttl" && err == nil && v < 0 {
			continue
		}
		if err != nil || v < 0 || v > math.MaxUint32 {
			return fmt.Errorf("%q is no %s", text, n.name)
		}
		*n.to = uint64(v)
	}
	if keySize > 0 { // Twitter's: the key's size stands in the column before the value's
		n, err := strconv.ParseUint(string(field(keySize)), 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no size of a key", field(keySize))
		}
		size += n
	}
	for range count {
		b.text(key)
		if c.Size > 0 {
			b.t.Sizes = append(b.t.Sizes, uint32(min(size, math.MaxUint32)))
		}
		if c.TTL > 0 {
			b.t.TTLs = append(b.t.TTLs, uint32(ttl))
		}
		if c.Time > 0 {
			if err := b.time(field(c.Time)); err != nil {
				return err
			}
		}
	}
	return nil
}

// time takes a time in seconds, with a fraction perhaps, relative to the first one.
func (b *builder) time(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%q is no time", text)
	}
	if len(b.t.Times) == 0 {
		b.start = v
	}
	b.t.Times = append(b.t.Times, uint32(min(max(v-b.start, 0), math.MaxUint32)))
	return nil
}

// reads tells the operations after which a cache would be asked.
func reads(op string) bool {
	switch strings.ToLower(op) {
	case "get", "gets", "get_lease", "read", "r", "0", "1", "incr", "decr":
		return true
	case "28", "2a", "88", "8a", "a8", "aa": // SCSI: what is written is asked for, too
		return true
	}
	return false
}

// oracleGeneral reads libCacheSim's records of 24 bytes, little-endian: time in seconds (32 bits), key (64), size (32), and
// when the key is asked for next (64): the number of that request, from one, or -1 (or the largest number) if it isn't. What it says of
// the future is compared with what comes, so that a file of another format is told.
func (b *builder) oracleGeneral(r io.Reader) error {
	buf := make([]byte, 24)
	next := map[uint32]int64{} // by key: when it was said to come again
	for request := int64(1); ; request++ {
		switch _, err := io.ReadFull(r, buf); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return fmt.Errorf("record %d of 24 bytes: %w", request, err)
		}
		b.number(binary.LittleEndian.Uint64(buf[4:]))
		key := b.t.Keys[len(b.t.Keys)-1]
		if said, ok := next[key]; ok && said != request {
			return fmt.Errorf("request %d is for a key that was to come next at %s: is this oracleGeneral?",
				request, moment(said))
		}
		next[key] = int64(binary.LittleEndian.Uint64(buf[16:]))
		b.t.Sizes = append(b.t.Sizes, binary.LittleEndian.Uint32(buf[12:]))
		b.seconds(binary.LittleEndian.Uint32(buf))
	}
}

func moment(n int64) string {
	if n == -1 || n == math.MaxInt64 {
		return "no time"
	}
	return strconv.FormatInt(n, 10)
}

func (b *builder) seconds(t uint32) {
	if len(b.t.Times) == 0 {
		b.start = float64(t)
	}
	b.t.Times = append(b.t.Times, t-min(t, uint32(b.start)))
}

// A vscsi record, little-endian, of version 1: serial number, length, scatter elements (32 bits each), command, version (16
// each), first block, time in microseconds (64 each); of version 2: command, version, serial number, length, scatter elements, first
// block, time, response time. The version's upper byte tells which. A request is for one block of 512 bytes after
// another in the published traces; here, as in simulators, it is one request of its first block, with its length as size.
const (
	vscsi1Size = 32
	vscsi2Size = 40
)

func (b *builder) vscsi(r io.Reader) error {
	buffered := bufio.NewReaderSize(r, 1<<16)
	head, err := buffered.Peek(2 * vscsi2Size)
	if err != nil {
		return fmt.Errorf("two records of vscsi are wanted at least: %w", err)
	}
	version := func(size, at int) uint16 {
		first, second := binary.LittleEndian.Uint16(head[at:])>>8, binary.LittleEndian.Uint16(head[size+at:])>>8
		if first != second {
			return 0
		}
		return first
	}
	switch {
	case version(vscsi2Size, 2) == 2:
		return b.records(buffered, vscsi2Size, 8, 16, 24)
	case version(vscsi1Size, 14) == 1:
		return b.records(buffered, vscsi1Size, 4, 16, 24)
	}
	return errors.New("the records are of neither version of vscsi")
}

func (b *builder) records(r io.Reader, width, length, block, time int) error {
	buf := make([]byte, width)
	for n := 1; ; n++ {
		switch _, err := io.ReadFull(r, buf); err {
		case nil:
		case io.EOF:
			return nil
		default:
			return fmt.Errorf("record %d of %d bytes: %w", n, width, err)
		}
		b.number(binary.LittleEndian.Uint64(buf[block:]))
		b.t.Sizes = append(b.t.Sizes, binary.LittleEndian.Uint32(buf[length:]))
		b.seconds(uint32(binary.LittleEndian.Uint64(buf[time:]) / 1_000_000))
	}
}

// mayBeText tells whether a line is one key, as .txt and .lirs have it, rather than something else that was renamed.
func mayBeText(line []byte) error {
	switch {
	case bytes.IndexByte(line, 0) >= 0 || slices.ContainsFunc(line, func(c byte) bool { return c < ' ' && c != '\t' }):
		return errors.New("the file is binary: what is its format?")
	case bytes.ContainsAny(line, ",;|\t"):
		return fmt.Errorf("%q has columns: a trace of them is named .csv or .twitter, or said by -format", line)
	case bytes.Contains(line, []byte(" ")):
		return fmt.Errorf("%q is more than one key: .lis and .sizes have such lines", line)
	}
	return nil
}
