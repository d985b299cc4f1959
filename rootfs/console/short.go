package console

import (
	"slices"
)

// leastNeeded are the rows that a short screen leaves out, the least needed one first; ""
// is the headline. STATE, FAULT, LINK, CHAN and OUT stay.
func leastNeeded() []string {
	return []string{"DISK", "REL", "NET", "PROBE", "TIME", "TX", "", "HEAL", "NOTE", "CERT"}
}

// Short is the status screen for a part of a terminal: the lines of what matters most, as
// many as size has. It leaves out whole rows before it cuts one, and the end last.
func Short(s Status, size Size) []string {
	width, room := max(size.Columns, leastColumns)-1, max(size.Lines, 0)
	rows, snap := about(s), s.Report.Snapshot
	for _, h := range healing(&snap) {
		rows = append(rows, row{"HEAL", h, 1})
	}
	for _, e := range channels(snap) {
		rows = append(rows, row{"CHAN", e, 2})
	}
	for _, e := range peers(snap) {
		rows = append(rows, row{"OUT", e, 1})
	}
	all := func(r row) int { return len(r.text) }
	for _, name := range leastNeeded() {
		if len(laid(rows, width, all)) <= room {
			break
		}
		rows = slices.DeleteFunc(rows, func(r row) bool { return r.name == name })
	}
	lines := laid(rows, width, all)
	if len(lines) > room {
		lines = laid(rows, width, func(r row) int { return r.most })
	}
	return lines[:min(len(lines), room)]
}

// laid lays out rows, each in as many lines as most says.
func laid(rows []row, width int, most func(row) int) (lines []string) {
	for _, r := range rows {
		lines = append(lines, r.lines(width, max(most(r), 1))...)
	}
	return lines
}
