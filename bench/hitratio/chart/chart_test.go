package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestChartIsWellFormedAndHasItsLines(t *testing.T) {
	c := Chart{
		Title: "a <b> & c", XLabel: "entries", YLabel: "miss ratio, %",
		X: []float64{100, 1000, 10000}, XText: []string{"100", "1,000", "10,000"},
		Series: []Series{
			{Name: "larder", Y: []float64{50, 30, 10}, Strong: true},
			{Name: "with a hole", Y: []float64{math.NaN(), 40, 20}},
			{Name: "one point", Y: []float64{math.NaN(), math.NaN(), 20}, Dashed: true},
		},
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			counts[e.Name.Local]++
		}
	}
	if counts["circle"] != 6 || counts["polyline"] != 2 || counts["path"] != 3 {
		t.Errorf("points, lines, legend: %v", counts)
	}
	if strings.Contains(b.String(), "NaN") {
		t.Error("a point without a value was drawn")
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct{ most, want float64 }{{100, 20}, {38.5, 10}, {1, 0.2}, {0.07, 0.02}, {0, 1}, {60, 10}} {
		if got := tick(c.most); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("tick(%g) = %g, want %g", c.most, got, c.want)
		}
	}
}
