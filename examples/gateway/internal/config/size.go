package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes. It is written as 256MiB, 1.5GB, 4096 or 64k: a
// number and a unit, where KiB, MiB and GiB are powers of 1024, and so are their
// short forms k, m and g; KB, MB and GB are powers of 1000.
type Size int64

// ParseSize reads a Size.
func ParseSize(text string) (Size, error) {
	trimmed := strings.TrimSpace(text)
	end := strings.IndexFunc(trimmed, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		end = len(trimmed)
	}
	number, err := strconv.ParseFloat(trimmed[:end], 64)
	if err != nil {
		return 0, fmt.Errorf("size %q: want a number and a unit, such as 256MiB", text)
	}
	var unit float64
	switch strings.ToLower(strings.TrimSpace(trimmed[end:])) {
	case "", "b":
		unit = 1
	case "kb":
		unit = 1e3
	case "mb":
		unit = 1e6
	case "gb":
		unit = 1e9
	case "k", "kib":
		unit = 1 << 10
	case "m", "mib":
		unit = 1 << 20
	case "g", "gib":
		unit = 1 << 30
	default:
		return 0, fmt.Errorf("size %q: unknown unit, use B, KiB, MiB, GiB, KB, MB or GB", text)
	}
	if number*unit >= math.MaxInt64 {
		return 0, fmt.Errorf("size %q: too large", text)
	}
	return Size(number * unit), nil
}

// String writes the size with the largest unit that leaves a whole number.
func (s Size) String() string {
	for _, u := range []struct {
		bytes Size
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// Set makes Size a flag.Value.
func (s *Size) Set(text string) error {
	parsed, err := ParseSize(text)
	if err == nil {
		*s = parsed
	}
	return err
}

// UnmarshalYAML reads a Size from a YAML scalar.
func (s *Size) UnmarshalYAML(decode func(any) error) error {
	var text string
	if err := decode(&text); err != nil {
		return err
	}
	return s.Set(text)
}
