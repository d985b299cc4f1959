// Package text bounds text from outside before it is logged, shown or kept: names
// that peers choose, reasons that they give; replaces what a terminal would act on; and removes
// the mark that editors put before a file.
//
// It refuses to split a character: what it returns is valid UTF-8 if its argument is.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clip returns the first n bytes of s at most.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Shorten returns s, or its first n bytes at most and "…".
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return Clip(s, n) + "…"
}

// Printable returns s with "?" for each character that is not printable (unicode.IsPrint), line ends
// included: a terminal acts on some of them.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}
