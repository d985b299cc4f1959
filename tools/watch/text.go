package watch

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"heliograph/firmware/platform/text"
)

var (
	bold   = lipgloss.NewStyle().Bold(true)
	dim    = lipgloss.NewStyle().Faint(true)
	good   = lipgloss.NewStyle().Foreground(lipgloss.Green)
	middle = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	bad    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
)

// colour is that of a level.
func colour(level string) lipgloss.Style {
	switch level {
	case Yes:
		return good
	case Partly:
		return middle
	}
	return bad
}

// mark shows a level where there is no colour.
func mark(level string) string {
	return map[string]string{Yes: "●", Partly: "◐", No: "○"}[level] + map[string]string{NoAnswer: "✗"}[level]
}

// clip shortens printable text to a width.
func clip(s string, width int) string {
	s = text.Printable(s)
	if lipgloss.Width(s) <= width {
		return s
	}
	var b strings.Builder
	used := 1 // of the ellipsis
	for _, r := range s {
		if used += lipgloss.Width(string(r)); used > width {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + "…"
}

// pad makes text exactly width wide.
func pad(s string, width int) string {
	s = clip(s, width)
	return s + strings.Repeat(" ", max(0, width-lipgloss.Width(s)))
}

// wrap breaks printable text at spaces into lines of a width.
func wrap(s string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text.Printable(s)) {
		if line != "" && lipgloss.Width(line)+1+lipgloss.Width(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, clip(line, width))
}

// lasted writes a duration in the unit that matters.
func lasted(d time.Duration) string {
	switch d = max(0, d); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours())/24)
}

// ago is how long ago a moment was, "never" for none.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return lasted(now.Sub(t))
}

// short writes a count in five characters at most.
func short(n uint64) string {
	switch {
	case n < 100_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%d k", n/1000)
	case n < 10_000_000_000:
		return fmt.Sprintf("%d M", n/1_000_000)
	}
	return fmt.Sprintf("%d G", n/1_000_000_000)
}

// count writes a number that may not be known.
func count(n *uint64) string {
	if n == nil {
		return "–"
	}
	return short(*n)
}
