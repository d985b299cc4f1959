package console

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
)

// Printable returns s with everything but printable ASCII and line ends
// replaced.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r >= ' ' && r <= '~' {
			return r
		}
		return '?'
	}, s)
}

// oneLine makes s one printable line of at most n characters.
func oneLine(s string, n int) string {
	s = strings.ReplaceAll(Printable(s), "\n", " ")
	if len(s) <= n {
		return s
	}
	return text.Clip(s, n-2) + ".."
}

// Summary is the line of an idle console, of at most width characters, with what the link
// counted since before.
func Summary(s Status, before status.Link, width int) string {
	return oneLine(fmt.Sprintf("%s %s %s %s%s | +%s%s%s", strings.ToUpper(s.Role), s.Host,
		s.Now.UTC().Format(time.TimeOnly), s.State, rejected(s.Rejected),
		counts(since(s.Report.Snapshot.Link, before)), open(&s.Report.Snapshot), words(" | ", s.Reason)), width)
}

// open is how much can still heal, "" for nothing.
func open(s *status.Snapshot) string {
	if m := s.Missing(); m.Open > 0 {
		return fmt.Sprintf(", %d can heal", m.Open)
	}
	return ""
}

// since counts from before on, or from zero when the role was restarted in between.
func since(l, before status.Link) status.Link {
	if l.Frames < before.Frames {
		return l
	}
	l.Frames -= before.Frames
	for _, c := range []struct{ now, then **uint64 }{{&l.Lost, &before.Lost}, {&l.Repaired, &before.Repaired},
		{&l.CRCErrors, &before.CRCErrors}, {&l.AuthFailures, &before.AuthFailures}} {
		if *c.now != nil && *c.then != nil {
			*c.now = status.Of(**c.now - min(**c.now, **c.then))
		}
	}
	return l
}

func rejected(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" | %d rejected: key c", n)
}

func counts(l status.Link) string {
	b := fmt.Sprintf("%d frames", l.Frames)
	for _, c := range []struct {
		name   string
		n      *uint64
		always bool
	}{{"lost", l.Lost, true}, {"fixed", l.Repaired, true}, {"CRC", l.CRCErrors, false},
		{"forged", l.AuthFailures, false}} {
		if c.n != nil && (*c.n > 0 || c.always) {
			b += fmt.Sprintf(", %s %d", c.name, *c.n)
		}
	}
	return b
}

// Screen is the status screen, which fits a terminal of a size: all of it if there is
// room, else the ends of lines and the channels that work are left out. The least is 40
// columns and 9 lines; one column is left free.
func Screen(s Status, size Size) string {
	width, room := max(size.Columns, leastColumns)-1, max(size.Lines, leastLines)
	head, snap := about(s), s.Report.Snapshot
	for _, h := range healing(&snap) {
		head = append(head, row{"HEAL", h, 1})
	}
	in, out := channels(snap), peers(snap)
	if all := lay(head, in, out, width, room); len(all) <= room {
		return strings.Join(all, "\n") + "\n"
	}
	var lines []string
	for _, r := range head {
		if r.name == "HEAL" && room-len(lines) <= roomForChannels {
			continue
		}
		lines = append(lines, r.lines(width, r.most)...)
	}
	left := room - len(lines)
	below := min(len(out), max(left-len(in), left/3))
	for _, e := range fit(in, left-below) {
		lines = append(lines, row{"CHAN", e, 1}.lines(width, 1)...)
	}
	for _, e := range fit(out, below) {
		lines = append(lines, row{"OUT", e, 1}.lines(width, 1)...)
	}
	return strings.Join(lines[:min(len(lines), room)], "\n") + "\n"
}

// Our own bounds.
const (
	leastColumns    = 40
	leastLines      = 9
	roomForChannels = 3
	mostFaults      = 8
	labelWidth      = 6
)

// row is one thing on the screen, with as many lines as it has where there is no room for
// all of it.
type row struct {
	name, text string
	most       int
}

// lines breaks a row; what most lines do not hold ends in dots.
func (r row) lines(width, most int) []string {
	text := strings.ReplaceAll(Printable(r.text), "\n", " ")
	if r.name != "" {
		text = fmt.Sprintf("%-*s", labelWidth, r.name) + text
	}
	list := Wrap(text, width, labelWidth)
	if len(list) <= most {
		return list
	}
	list = list[:most]
	last := list[most-1]
	if len(last)+3 > width {
		last = last[:width-3]
		if i := strings.LastIndexByte(last, ' '); i > labelWidth {
			last = last[:i]
		}
	}
	list[most-1] = last + " .."
	return list
}

// lay lays out all of it, until there are more lines than room.
func lay(head []row, in, out []string, width, room int) (lines []string) {
	rows := head
	for _, e := range in {
		rows = append(rows, row{"CHAN", e, 0})
	}
	for _, e := range out {
		rows = append(rows, row{"OUT", e, 0})
	}
	for _, r := range rows {
		if lines = append(lines, r.lines(width, room)...); len(lines) > room {
			break
		}
	}
	return lines
}

// about is the board without its channels.
func about(s Status) (rows []row) {
	snap := s.Report.Snapshot
	add := func(name string, most int, format string, a ...any) {
		rows = append(rows, row{name, fmt.Sprintf(format, a...), most})
	}
	add("", 1, "HELIOGRAPH %s  %s%s%s  up %s", strings.ToUpper(s.Role), s.Host, words("  pair ", snap.Pair),
		words("  version ", snap.Version), up(s.Up))
	add("STATE", 3, "%s%s", s.State, words(": ", s.Reason))
	for i, f := range s.Faults {
		if i == mostFaults {
			add("FAULT", 1, "and %d more: the log has all", len(s.Faults)-i)
			break
		}
		add("FAULT", 2, "%s", f)
	}
	add("LINK", 1, "%s  %s%s%s", or(snap.Link.Medium), counts(snap.Link), lastFrame(snap.Link),
		words("  ", notIn(snap.Link.State, s.Reason)))
	add("TIME", 1, "%s%s%s", s.Now.UTC().Format("2006-01-02 15:04:05 UTC"), words("  ", snap.Clock), offset(s))
	add("NET", 1, "%s  %s", s.Board, or(s.Address))
	if r := running(s.Release); r != "" {
		add("REL", 1, "%s", r)
	}
	if d := snap.Disk; d != nil {
		add("DISK", 2, "%d MiB of %d MiB free%s", d.Free>>20, d.Bytes>>20, words(": ", d.Fault))
	}
	if t := snap.Transmitter; len(t) > 0 {
		add("TX", 1, "reports version %s%s%s", or(t["version"]), words(", clock ", t["clock"]),
			words(", Celsius ", t["temperature_celsius"]))
	}
	for _, b := range snap.Boards {
		if w := b.ProbeWords(s.Now); w != "" && b.Role == s.Role {
			add("PROBE", 1, "%s", w)
		}
	}
	if n := len(snap.Notes); n > 0 {
		add("NOTE", 1, "%s  %s", snap.Notes[n-1].Time.UTC().Format("01-02 15:04:05"), snap.Notes[n-1].Text)
	}
	if s.Rejected > 0 {
		add("CERT", 1, "%d rejected: key c shows them", s.Rejected)
	}
	return rows
}

// notIn returns what another text does not say already.
func notIn(s, other string) string {
	if s != "" && strings.Contains(other, s) {
		return ""
	}
	return s
}

// healing says which outages heal, and what is missing, if anything was.
func healing(s *status.Snapshot) (list []string) {
	if s.Role == "" {
		return nil
	}
	list = append(list, s.Healing())
	if m := s.Missing(); m.Open+m.Healed+m.Final > 0 {
		list = append(list, fmt.Sprintf("%d records in %d holes can still heal, %d healed, %d final", m.Open, m.Holes,
			m.Healed, m.Final))
	}
	return list
}

// running returns which release runs, and the outcome of the last update.
func running(r release.Running) string {
	if r.Version == 0 && r.Update == nil {
		return r.Fault
	}
	b := fmt.Sprintf("%d%s", r.Version, words(" ", r.Name))
	if r.OnTrial {
		b += " ON TRIAL"
	}
	if u := r.Update; u != nil {
		b += fmt.Sprintf("  update %d %s%s", u.Version, u.Result.Words(), words(": ", u.Reason))
	}
	return b + words("  ", r.Fault)
}

// fit leaves what n lines hold, and shows how many that is.
func fit(list []string, n int) []string {
	if n <= 0 || len(list) <= n {
		return list[:min(len(list), max(n, 0))]
	}
	all := len(list)
	list = list[:n]
	list[0] = fmt.Sprintf("(%d of %d) %s", n, all, list[0])
	return list
}

// channels are those in trouble first.
func channels(snap status.Snapshot) (list []string) {
	names := slices.SortedFunc(maps.Keys(snap.Channels), func(a, b string) int {
		return cmp.Or(cmp.Compare(trouble(snap.Channels[a]), trouble(snap.Channels[b])), strings.Compare(a, b))
	})
	for _, name := range names {
		list = append(list, channel(name, snap.Channels[name]))
	}
	return list
}

// trouble is less the more there is of it.
func trouble(c status.Channel) int {
	switch {
	case c.SourceState != "up":
		return 0
	case c.Complete != nil && !*c.Complete:
		return 1
	case c.OpenRecords != nil && *c.OpenRecords > 0:
		return 2
	}
	return 3
}

func peers(snap status.Snapshot) (list []string) {
	down := slices.Clone(snap.Peers)
	slices.SortStableFunc(down, func(a, b status.Peer) int { return cmp.Compare(upness(a), upness(b)) })
	for _, p := range down {
		list = append(list, fmt.Sprintf("%s %s%s%s%s", p.Name, p.State, words(": ", p.Reason), spool(p.Spool),
			words("  ", p.Address)))
	}
	return list
}

func upness(p status.Peer) int {
	if p.State == "up" {
		return 1
	}
	return 0
}

func words(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func lastFrame(l status.Link) string {
	if l.LastHeartbeatAgeSeconds == nil || *l.LastHeartbeatAgeSeconds < 0 {
		return ""
	}
	return fmt.Sprintf(", heartbeat %.1f s ago", *l.LastHeartbeatAgeSeconds)
}

func offset(s Status) string {
	if c := s.Report.Clock; c.Source != "" {
		return fmt.Sprintf("  %s, offset %+.0f ms", c.Source, 1000*c.OffsetSeconds)
	}
	return ""
}

func spool(s *status.Spool) string {
	if s == nil || s.Bytes == 0 && s.Dropped == 0 || s.Limit == 0 {
		return ""
	}
	return fmt.Sprintf("  spool %d %%, dropped %d", 100*s.Bytes/s.Limit, s.Dropped)
}

func channel(name string, c status.Channel) string {
	b := fmt.Sprintf("%s %s %s", name, c.Protocol, c.SourceState)
	for _, n := range []struct {
		name   string
		n      *uint64
		always bool
	}{{"keys", c.Keys, true}, {"sent", c.Sent, true}, {"delivered", c.Delivered, true},
		{"conflated", c.Conflated, false}, {"lost", c.Lost, true}, {"can heal", c.OpenRecords, false},
		{"healed", c.Healed, false}, {"unknown", c.Unknown, false}, {"refused", c.Refused, false},
		{"expired", c.Expired, false}, {"dropped", c.Dropped, false},
		{"missed", c.Missed, false}} {
		if n.n != nil && (*n.n > 0 || n.always) {
			b += fmt.Sprintf("  %s %d", n.name, *n.n)
		}
	}
	if c.Complete != nil && !*c.Complete {
		b += "  INCOMPLETE"
	}
	return b + words("  ", c.SourceReason)
}

// up is a duration as 3d02h, 02h11m or 4m05s.
func up(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d/time.Hour%24)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d/time.Minute%60)
	}
	return fmt.Sprintf("%dm%02ds", d/time.Minute, d/time.Second%60)
}
