package accept

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// The size of a plot, in units of its own.
const (
	plotWidth, plotHeight = 720.0, 190.0
	left, right           = 58.0, 12.0
	top, bottom           = 10.0, 30.0
)

// line is a series of a plot.
type line struct {
	name  string
	class string // how the style sheet draws it
	of    func(Point) float64
}

// lines draws series over time, all to one scale that begins at 0.
func lines(title, unit string, points []Point, series ...line) template.HTML {
	most, end := 0.0, 1.0
	for _, p := range points {
		end = max(end, p.Seconds)
		for _, s := range series {
			most = max(most, s.of(p))
		}
	}
	c := &canvas{most: niceMost(most), end: end}
	c.begin(title, unit)
	c.grid()
	c.times()
	for _, s := range series {
		c.line(points, s)
	}
	return c.finish(series)
}

// canvas is a plot that is drawn.
type canvas struct {
	strings.Builder
	most, end float64 // of the axes
}

func (c *canvas) x(seconds float64) float64 { return left + seconds/c.end*(plotWidth-left-right) }
func (c *canvas) y(value float64) float64 {
	return plotHeight - bottom - value/c.most*(plotHeight-top-bottom)
}

func (c *canvas) begin(title, unit string) {
	fmt.Fprintf(c, "<figure><figcaption>%s, <span class=\"unit\">%s</span></figcaption>\n",
		template.HTMLEscapeString(title),
		template.HTMLEscapeString(unit))
	fmt.Fprintf(c, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", plotWidth, plotHeight,
		template.HTMLEscapeString(title))
}

func (c *canvas) finish(series []line) template.HTML {
	c.WriteString("</svg>\n")
	if len(series) > 1 {
		c.WriteString("<p class=\"key\">")
		for _, s := range series {
			fmt.Fprintf(c, "<span><svg viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"%s\" d=\"M0 "+
				"4H24\"/></svg>%s</span> ", s.class,
				template.HTMLEscapeString(s.name))
		}
		c.WriteString("</p>\n")
	}
	c.WriteString("</figure>")
	return template.HTML(c.String())
}

// grid draws the values of the vertical axis.
func (c *canvas) grid() {
	const steps = 4
	for i := range steps + 1 {
		value := c.most * float64(i) / steps
		y := c.y(value)
		fmt.Fprintf(c, "<path class=\"grid\" d=\"M%g %.1fH%g\"/><text x=\"%g\" y=\"%.1f\" "+
			"text-anchor=\"end\">%s</text>\n", left, y,
			plotWidth-right, left-6, y+4, short(value))
	}
}

// times draws the horizontal axis.
func (c *canvas) times() {
	const steps = 5
	unit, divisor := "s", 1.0
	if c.end >= 300 {
		unit, divisor = "min", 60
	}
	for i := range steps + 1 {
		at := c.end * float64(i) / steps
		anchor := "middle"
		if i == steps {
			anchor = "end"
		}
		fmt.Fprintf(c, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"%s\">%s %s</text>\n", c.x(at), plotHeight-10, anchor,
			short(math.Round(at/divisor*10)/10), unit)
	}
}

func (c *canvas) line(points []Point, s line) {
	var d strings.Builder
	for i, p := range points {
		fmt.Fprintf(&d, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], c.x(p.Seconds), c.y(s.of(p)))
	}
	fmt.Fprintf(c, "<path class=\"%s\" d=\"%s\"/>\n", s.class, d.String())
}

// bars draws a histogram. mark, where it is not 0, is a bound that a line is drawn behind.
func bars(title, unit string, h histogram, label func(float64) string, mark float64) template.HTML {
	most := uint64(0)
	for _, n := range h.Counts {
		most = max(most, n)
	}
	c := &canvas{most: niceMost(float64(most)), end: float64(len(h.Counts))}
	c.begin(title, unit)
	c.grid()
	for i, n := range h.Counts {
		x, width := c.x(float64(i)), c.x(1)-c.x(0)
		name := "more"
		if i < len(h.Bounds) {
			name = label(h.Bounds[i])
		}
		if n > 0 {
			y := min(c.y(float64(n)), c.y(0)-2) // a single one is seen too
			fmt.Fprintf(c, "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s: "+
				"%d</title></rect>\n",
				x+2, y, width-4, c.y(0)-y, name, n)
		}
		if i%2 == 0 && i+1 < len(h.Bounds) || i == len(h.Bounds) { // there is room for every other
			fmt.Fprintf(c, "<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s</text>\n", x+width/2, plotHeight-10,
				name)
		}
		if mark > 0 && i < len(h.Bounds) && h.Bounds[i] <= mark && (i+1 == len(h.Bounds) || h.Bounds[i+1] > mark) {
			fmt.Fprintf(c, "<path class=\"mark\" d=\"M%.1f %gV%g\"/><text x=\"%.1f\" y=\"%g\" "+
				"text-anchor=\"end\">repaired up to here</text>\n",
				x+width, top, plotHeight-bottom, x+width-4, top+8)
		}
	}
	return c.finish(nil)
}

// niceMost rounds the end of an axis up to 1, 2, 4 or 8 times a power of ten.
func niceMost(most float64) float64 {
	if !(most > 0) || math.IsInf(most, 0) {
		return 1
	}
	scale := math.Pow(10, math.Floor(math.Log10(most)))
	for _, factor := range []float64{1, 2, 4, 8} {
		if most <= factor*scale {
			return factor * scale
		}
	}
	return 10 * scale
}

// short writes a number of an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.3gk", v/1e3)
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}
