// Package chart draws line charts as SVG.
package chart

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// Series is one line. Points without a value have a NaN.
type Series struct {
	Name string
	Y    []float64
	// Strong lines are thick, Dashed ones are references.
	Strong, Dashed bool
}

// Chart has a logarithmic horizontal axis, with the values X in ascending order, and a linear vertical one over the range
// of the values.
type Chart struct {
	Title, XLabel, YLabel string
	X                     []float64
	XText                 []string // labels of the values
	Series                []Series
}

const (
	width, height            = 900, 560
	left, right, top, bottom = 64, 220, 44, 52
)

// palette has colours that can be told apart by most people, after Paul Tol.
var palette = []string{"#332288", "#ee7733", "#009988", "#cc3311", "#0077bb", "#aa4499", "#999933", "#882255", "#44aa99",
	"#ddaa33", "#661100", "#6699cc", "#888888", "#000000", "#117733", "#cc6677", "#b8860b", "#4b0082"}

// Write writes the chart to w.
func (c *Chart) Write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`,
		width, height)
	fmt.Fprintf(&b, "\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", width, height)
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"24\" font-size=\"15\" font-weight=\"bold\">%s</text>\n", left, html.EscapeString(c.Title))
	least, most, step := c.span()
	y := func(v float64) float64 { return height - bottom - (v-least)/(most-least)*(height-top-bottom) }
	for v := least; v <= most+step/2; v += step {
		fmt.Fprintf(&b, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>\n", left, width-right, y(v), y(v))
		fmt.Fprintf(&b, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", left-8, y(v)+4, round(v))
	}
	x := c.scale()
	last := math.Inf(-1)
	for i, v := range c.X {
		at := x(v)
		fmt.Fprintf(&b, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" stroke=\"#888888\"/>\n", at, at, height-bottom,
			height-bottom+5)
		if at-last < 44 {
			continue // labels would overlap
		}
		last = at
		fmt.Fprintf(&b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", at, height-bottom+20,
			html.EscapeString(c.XText[i]))
	}
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", (left+width-right)/2, height-12,
		html.EscapeString(c.XLabel))
	fmt.Fprintf(&b, "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">%s</text>\n",
		(top+height-bottom)/2, html.EscapeString(c.YLabel))
	for _, strong := range []bool{false, true} { // strong lines lie over the others
		for i, s := range c.Series {
			if s.Strong == strong {
				c.line(&b, s, palette[i%len(palette)], x, y)
				c.legend(&b, i, s, palette[i%len(palette)])
			}
		}
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// span returns the ends of the vertical axis, which are multiples of the third result, the distance of its ticks.
func (c *Chart) span() (least, most, step float64) {
	least, most = math.Inf(1), math.Inf(-1)
	for _, s := range c.Series {
		for _, y := range s.Y {
			if !math.IsNaN(y) {
				least, most = math.Min(least, y), math.Max(most, y)
			}
		}
	}
	if math.IsInf(least, 1) {
		return 0, 1, 1
	}
	step = tick(most - least)
	return math.Floor(least/step) * step, math.Floor(most/step+1) * step, step
}

// scale maps the horizontal axis.
func (c *Chart) scale() func(float64) float64 {
	low, high := math.Log(c.X[0]), math.Log(c.X[len(c.X)-1])
	if high-low < 1e-9 {
		return func(float64) float64 { return (left + width - right) / 2 }
	}
	return func(v float64) float64 {
		return left + 10 + (math.Log(v)-low)/(high-low)*(width-left-right-20)
	}
}

func style(s Series, colour string) string {
	out := fmt.Sprintf(`fill="none" stroke="%s" stroke-width="1.6"`, colour)
	if s.Strong {
		out = strings.Replace(out, "1.6", "3.2", 1)
	}
	if s.Dashed {
		out += ` stroke-dasharray="5 4"`
	}
	return out
}

// line draws the points that have a value, joined.
func (c *Chart) line(b *strings.Builder, s Series, colour string, x, y func(float64) float64) {
	var points []string
	for i, v := range s.Y {
		if math.IsNaN(v) {
			continue
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", x(c.X[i]), y(v)))
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\" fill=\"%s\"/>\n", x(c.X[i]), y(v), colour)
	}
	if len(points) > 1 {
		fmt.Fprintf(b, "<polyline points=\"%s\" %s/>\n", strings.Join(points, " "), style(s, colour))
	}
}

func (c *Chart) legend(b *strings.Builder, i int, s Series, colour string) {
	at := top + 8 + 20*i
	fmt.Fprintf(b, "<path d=\"M%d %d h26\" %s/>\n", width-right+18, at, style(s, colour))
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\">%s</text>\n", width-right+52, at+4, html.EscapeString(s.Name))
}

// tick is a distance of 1, 2 or 5 times a power of ten that divides the range in some five parts.
func tick(most float64) float64 {
	if most <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{1, 2, 5, 10} {
		if most/(m*unit) <= 6 {
			return m * unit
		}
	}
	return 10 * unit
}

// round takes off what floating point adds to sums of ticks.
func round(v float64) float64 { return math.Round(v*1e9) / 1e9 }
