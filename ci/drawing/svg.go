package main

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Sizes of the drawing, in pixels.
const (
	cellWidth  = 8.4
	cellHeight = 17
	margin     = 12
)

// Colours of the drawing.
const (
	background = "#14181d"
	foreground = "#d4d8dd"
)

// palette are the 16 colours of a terminal.
var palette = [16]string{"#14181d", "#e06c6c", "#7fc77f", "#d9b45b", "#6ca6e0", "#b98ad9", "#5fc0c0", "#d4d8dd",
	"#6b737d", "#ff8f8f", "#9fe39f", "#f2d27a", "#8fc1ff", "#d5a8f2", "#7fdede", "#ffffff"}

// style is how a part of a line looks.
type style struct {
	fg, bg        string
	bold, reverse bool
	dim           bool
}

// draw returns the drawing of a screen with SGR sequences (ECMA-48) in it.
func draw(screen string) string {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	columns, now := 0, style{}
	var body strings.Builder
	for i, line := range lines {
		column := 0
		for n, part := range strings.Split(line, "\x1b[") {
			if n > 0 {
				now, part = now.after(part)
			}
			body.WriteString(now.span(part, column, i))
			column += utf8.RuneCountInString(part)
		}
		columns = max(columns, utf8.RuneCountInString(strings.TrimRight(plain(line), " ")))
	}
	width, height := float64(columns)*cellWidth+2*margin, len(lines)*cellHeight+2*margin
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %d\" width=\"%.0f\" "+
		"font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n"+
		"<rect width=\"100%%\" height=\"100%%\" rx=\"6\" fill=\"%s\"/>\n%s</svg>\n", width, height, width, background,
		body.String())
}

// after returns the style after the SGR sequence that text begins with, and the rest of it.
func (s style) after(text string) (style, string) {
	end := strings.IndexFunc(text, func(r rune) bool { return r >= '@' && r <= '~' })
	if end < 0 {
		return s, ""
	}
	if text[end] != 'm' {
		return s, text[end+1:]
	}
	codes := strings.FieldsFunc(text[:end], func(r rune) bool { return r == ';' || r == ':' })
	if len(codes) == 0 {
		return style{}, text[end+1:]
	}
	for i := 0; i < len(codes); i++ {
		n, _ := strconv.Atoi(codes[i])
		switch {
		case n == 38 || n == 48:
			colour, used := extended(codes[i+1:])
			if n == 38 {
				s.fg = colour
			} else {
				s.bg = colour
			}
			i += used
		default:
			s = s.with(n)
		}
	}
	return s, text[end+1:]
}

// with returns the style after one code of SGR.
func (s style) with(n int) style {
	switch {
	case n == 0:
		return style{}
	case n == 1:
		s.bold = true
	case n == 2:
		s.dim = true
	case n == 7:
		s.reverse = true
	case n == 22:
		s.bold, s.dim = false, false
	case n == 27:
		s.reverse = false
	case n >= 30 && n <= 37:
		s.fg = palette[n-30]
	case n == 39:
		s.fg = ""
	case n >= 40 && n <= 47:
		s.bg = palette[n-40]
	case n == 49:
		s.bg = ""
	case n >= 90 && n <= 97:
		s.fg = palette[n-82]
	case n >= 100 && n <= 107:
		s.bg = palette[n-92]
	}
	return s
}

// extended is a colour of 256, or of red, green and blue, and how many codes name it.
func extended(codes []string) (colour string, used int) {
	at := func(i int) int {
		if i >= len(codes) {
			return 0
		}
		n, _ := strconv.Atoi(codes[i])
		return min(max(n, 0), 255)
	}
	if at(0) == 2 {
		return fmt.Sprintf("#%02x%02x%02x", at(1), at(2), at(3)), 4
	}
	switch n := at(1); {
	case n < 16:
		return palette[n], 2
	case n >= 232:
		grey := 8 + 10*(n-232)
		return fmt.Sprintf("#%02x%02x%02x", grey, grey, grey), 2
	default:
		level := func(i int) int { return []int{0, 95, 135, 175, 215, 255}[i] }
		return fmt.Sprintf("#%02x%02x%02x", level((n-16)/36), level((n-16)/6%6), level((n-16)%6)), 2
	}
}

// span draws a part of a line.
func (s style) span(text string, column, line int) string {
	if text == "" || strings.TrimSpace(text) == "" && s.bg == "" && !s.reverse {
		return ""
	}
	fg, bg := s.fg, s.bg
	if fg == "" {
		fg = foreground
	}
	if s.reverse {
		fg, bg = background, fg
	}
	x, y := margin+float64(column)*cellWidth, margin+line*cellHeight
	width := float64(utf8.RuneCountInString(text)) * cellWidth
	drawn := ""
	if bg != "" {
		drawn = fmt.Sprintf("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", x, y, width,
			cellHeight, bg)
	}
	more := ""
	if s.bold {
		more = " font-weight=\"bold\""
	}
	if s.dim {
		more += " opacity=\"0.6\""
	}
	return drawn + fmt.Sprintf("<text x=\"%.1f\" y=\"%d\" fill=\"%s\"%s textLength=\"%.1f\" "+
		"xml:space=\"preserve\">%s</text>\n", x, y+13, fg, more, width, html.EscapeString(text))
}

// plain is a line without its sequences.
func plain(line string) string {
	var b strings.Builder
	for i, part := range strings.Split(line, "\x1b[") {
		if i > 0 {
			_, part = style{}.after(part)
		}
		b.WriteString(part)
	}
	return b.String()
}
