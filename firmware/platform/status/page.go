package status

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/counter"
)

//go:embed page.html
var pageText string

// renderPage writes the page for people.
func renderPage(w io.Writer, s Snapshot) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"upper":   strings.ToUpper,
		"names":   func(m map[string]Channel) []string { return slices.Sorted(maps.Keys(m)) },
		"count":   count,
		"counted": func(n uint64) string { return count(&n) },
		"words":   func(name string) string { return strings.ReplaceAll(name, "_", " ") },
		"frames":  func(l Link) *uint64 { return &l.Frames },
		"seconds": seconds,
		"uptime": func(s float64) string {
			return time.Duration(s * float64(time.Second)).Round(
				time.Second).String()
		},
		"bytes":    humanBytes,
		"size":     func(n uint64) string { return humanBytes(int64(min(n, math.MaxInt64))) },
		"clock":    func(t time.Time) string { return moment(t) + " UTC" },
		"moment":   moment,
		"reversed": reversed,
		"bad":      func(n *uint64) bool { return n != nil && *n > 0 },
		"is":       func(b *bool) string { return map[bool]string{true: "yes", false: "no"}[b != nil && *b] },
		"known":    func(b *bool) bool { return b != nil },
		"moved":    moved,
		"holes":    newestHoles,
		"sentence": sentence,
		"healing":  func() string { return s.Healing() },
		"missing":  func() Missing { return s.Missing() },
	}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("status: page template: %w", err)
	}
	return t.Execute(w, s)
}

// moment writes a time in UTC, "–" for one that is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateTime)
}

// sentence begins with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

// moved returns the sets with those counters alone that are not zero, and how
// many were left out.
func moved(sets []counter.Set) (out struct {
	Sets  []counter.Set
	Zeros int
}) {
	for _, s := range sets {
		all := len(s.Values)
		s.Values = slices.DeleteFunc(slices.Clone(s.Values), func(v counter.Value) bool { return v.Value == 0 })
		out.Zeros += all - len(s.Values)
		if len(s.Values) > 0 {
			out.Sets = append(out.Sets, s)
		}
	}
	return out
}

// count writes a number in groups of three, "–" for an unknown one.
func count(n *uint64) string {
	if n == nil {
		return "–"
	}
	digits := fmt.Sprint(*n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow no-break space
		}
		b.WriteRune(d)
	}
	return b.String()
}

func seconds(s *float64) string {
	if s == nil {
		return "–"
	}
	if *s < 10 {
		return fmt.Sprintf("%.1f s", *s)
	}
	return time.Duration(*s * float64(time.Second)).Round(time.Second).String()
}

func humanBytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func reversed(notes []Note) []Note {
	notes = slices.Clone(notes)
	slices.Reverse(notes)
	return notes
}
