package httpcache

import "testing"

func TestParseRange(t *testing.T) {
	for s, want := range map[string]struct {
		first, last int64
		result      rangeResult
	}{
		"bytes=0-4":                    {0, 4, rangeOK},
		"bytes=5-":                     {5, 9, rangeOK},
		"bytes=-3":                     {7, 9, rangeOK},
		"bytes=-30":                    {0, 9, rangeOK},
		"bytes=8-100":                  {8, 9, rangeOK},
		"BYTES=0-0":                    {0, 0, rangeOK},
		"bytes=0-99999999999999999999": {0, 9, rangeOK},
		"bytes=10-":                    {0, 0, rangeUnsatisfiable},
		"bytes=-0":                     {0, 0, rangeUnsatisfiable},
		"bytes=99999999999999999999-":  {0, 0, rangeUnsatisfiable},
		"bytes=4-3":                    {0, 0, rangeIgnored},
		"bytes=a-b":                    {0, 0, rangeIgnored},
		"bytes=-":                      {0, 0, rangeIgnored},
		"bytes=":                       {0, 0, rangeIgnored},
		"bytes=0-1,3-4":                {0, 0, rangeIgnored},
		"lines=0-1":                    {0, 0, rangeIgnored},
		"bytes 0-1":                    {0, 0, rangeIgnored},
		"bytes=+0-1":                   {0, 0, rangeIgnored},
		"bytes=0-1-2":                  {0, 0, rangeIgnored},
	} {
		br, result := parseRange([]string{s}, 10)
		if result != want.result || result == rangeOK && (br.first != want.first || br.last != want.last) {
			t.Errorf("%q: got %+v, %d", s, br, result)
		}
	}
}

func TestParseWeight(t *testing.T) {
	for s, want := range map[string]int{"q=1": 1000, "q=0": 0, "Q=0.5": 500, "q=0.123": 123, "q=1.000": 1000, "q=0.": 0} {
		if got, ok := parseWeight(s); !ok || got != want {
			t.Errorf("%q: got %d, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "q", "q=", "q=2", "q=1.5", "q=.5", "q=0.1234", "q=0,5", "x=1", "q=-1"} {
		if got, ok := parseWeight(s); ok {
			t.Errorf("%q: got %d", s, got)
		}
	}
}
