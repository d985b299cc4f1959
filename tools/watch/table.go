package watch

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
)

// column is a column of the table.
type column struct {
	title string
	width int
	rank  int // a narrow terminal leaves out those of the highest rank first
	text  func(r *Row, now time.Time) string
}

// columns are all of them, but the pair's and the reason's.
func columns() []column {
	return []column{
		{"SIDE", 4, 1, func(r *Row, _ time.Time) string { return cmp.Or(r.Side(), "–") }},
		{"TRUST", 9, 0, func(r *Row, _ time.Time) string { return r.Level }},
		{"SINCE", 6, 2, func(r *Row, now time.Time) string { return ago(r.Since, now) }},
		{"LINK", 4, 3, func(r *Row, _ time.Time) string { return linkWord(r) }},
		{"LOST", 6, 4, answered(func(r *Row) string { return short(r.Margin.Lost) })},
		{"REPAIRED", 8, 7, answered(func(r *Row) string { return short(r.Margin.Repaired) })},
		{"CHANNELS", 10, 5, answered(channelWords)},
		{"HEALING", 8, 6, answered(healingWords)},
		{"CERT", 6, 8, func(r *Row, now time.Time) string { return certificateWord(r, now) }},
		{"SEEN", 6, 9, func(r *Row, now time.Time) string { return ago(r.Contact, now) }},
	}
}

// answered leaves a cell empty for a board that does not answer: its figures are old.
func answered(text func(*Row) string) func(*Row, time.Time) string {
	return func(r *Row, _ time.Time) string {
		if r.Level == NoAnswer {
			return "–"
		}
		return text(r)
	}
}

func linkWord(r *Row) string {
	switch {
	case r.Level == NoAnswer:
		return "–"
	case r.Link == "up":
		return "up"
	}
	return "down"
}

func channelWords(r *Row) string {
	if n := len(r.Trouble); n > 0 {
		return fmt.Sprintf("%d of %d ✗", n, r.Channels)
	}
	return fmt.Sprintf("%d ok", r.Channels)
}

func healingWords(r *Row) string {
	switch r.OpenHoles {
	case 0:
		return "–"
	case 1:
		return "1 hole"
	}
	return short(r.OpenHoles) + " holes"
}

func certificateWord(r *Row, now time.Time) string {
	switch c := r.Certificate; {
	case c == nil:
		return "–"
	case now.After(c.Expires):
		return "ended"
	default:
		return lasted(c.Expires.Sub(now))
	}
}

// Widths of the table.
const (
	minPair, maxPair = 8, 24
	maxAlike         = 46 // of one with its address
	minReason        = 40 // a reason that has less room stands on a line of its own
	gap              = 2
)

// table draws rows in a width.
type table struct {
	columns []column
	alike   map[string]bool // names of one side that several rows have
	most    int             // width of a name with its address
	pair    int             // width
	reason  int             // width
	below   bool            // reasons stand below their rows
}

func newTable(rows []Row, width int) table {
	t := table{columns: columns(), pair: minPair, alike: map[string]bool{},
		most: max(maxPair, min(maxAlike, width/2))}
	seen := map[string]bool{}
	for _, r := range rows {
		t.alike[r.side()], seen[r.side()] = seen[r.side()], true
	}
	for _, r := range rows {
		t.pair = max(t.pair, lipgloss.Width(t.name(&r)))
	}
	for t.used() > width && len(t.columns) > 1 {
		worst := 0
		for i, c := range t.columns {
			if c.rank > t.columns[worst].rank {
				worst = i
			}
		}
		t.columns = append(t.columns[:worst], t.columns[worst+1:]...)
	}
	t.reason = width - t.used() - gap
	if t.below = t.reason < minReason; t.below {
		t.reason = width - 2*gap
	}
	return t
}

// name is what a row is called: pairs of one name have their addresses.
func (t *table) name(r *Row) string {
	if r.Pair == "" || !t.alike[r.side()] {
		return clip(r.Name(), maxPair)
	}
	address := " (" + r.Address + ")"
	room := t.most - lipgloss.Width(address)
	if room < minPair/2 {
		return clip(r.Address, t.most)
	}
	return clip(r.Pair, room) + clip(address, t.most)
}

// used is the width without the reason.
func (t *table) used() int {
	n := 2*gap + t.pair
	for _, c := range t.columns {
		n += gap + c.width
	}
	return n
}

// head is the line of titles.
func (t *table) head() string {
	var b strings.Builder
	b.WriteString("    " + pad("PAIR", t.pair))
	for _, c := range t.columns {
		b.WriteString("  " + pad(c.title, c.width))
	}
	if !t.below {
		b.WriteString("  WHY")
	}
	return b.String()
}

// row is one row, with its reason.
func (t *table) row(r *Row, selected bool, now time.Time) []string {
	style := colour(r.Level)
	name := pad(t.name(r), t.pair)
	if selected {
		name = bold.Reverse(true).Render(name)
	}
	var b strings.Builder
	b.WriteString("  " + style.Render(mark(r.Level)) + " " + name)
	for _, c := range t.columns {
		cell := pad(c.text(r, now), c.width)
		if troubled(c.title, r) {
			cell = style.Render(cell)
		}
		b.WriteString("  " + cell)
	}
	switch why := r.Why(); {
	case why == "":
	case !t.below:
		b.WriteString("  " + clip(why, t.reason))
	default:
		return []string{b.String(), "    " + style.Render(clip(why, t.reason))}
	}
	return []string{b.String()}
}

// troubled reports whether a cell is drawn in the colour of the row's level.
func troubled(title string, r *Row) bool {
	switch title {
	case "TRUST":
		return true
	case "LINK":
		return r.Link != "up"
	case "CHANNELS":
		return len(r.Trouble) > 0
	}
	return false
}

// summary is how many pairs stand how.
func summary(rows []Row, all int) string {
	number := map[string]int{}
	for _, r := range rows {
		number[r.Level]++
	}
	var parts []string
	for _, level := range []string{NoAnswer, No, Partly, Yes} {
		text := map[string]string{NoAnswer: "without an answer", No: "not trusted", Partly: "trusted in part",
			Yes: "trusted"}[level]
		if n := number[level]; n > 0 {
			parts = append(parts, colour(level).Render(fmt.Sprintf("%d %s", n, text)))
		}
	}
	if n := all - len(rows); n > 0 {
		parts = append(parts, dim.Render(fmt.Sprintf("%d asked", n)))
	}
	return strings.Join(parts, ", ")
}
