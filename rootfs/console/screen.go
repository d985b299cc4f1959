package console

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"heliograph/firmware/status"
)

// Our own choices: a terminal of 80 columns and 24 lines.
const (
	columns  = 79
	channels = 8
	peers    = 4
)

// Printable returns s with everything but printable text and line ends
// replaced.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(s, "?"))
}

// clip makes s one printable line of at most n characters.
func clip(s string, n int) string {
	s = strings.ReplaceAll(Printable(s), "\n", " ")
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Summary is the line of an idle console.
func Summary(s Status) string {
	l := s.Report.Snapshot.Link
	return clip(fmt.Sprintf("HELIOGRAPH %s %s %s | %s | link %s%s", strings.ToUpper(s.Role), s.Host, s.Now.UTC().Format(time.TimeOnly),
		state(s), counts(l), rejected(s.Rejected)), columns)
}

func state(s Status) string {
	if s.Reason == "" {
		return string(s.State)
	}
	return string(s.State) + ": " + s.Reason
}

func rejected(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" | %d rejected: press c", n)
}

func counts(l status.Link) string {
	b := fmt.Sprintf("%d frames", l.Frames)
	for _, c := range []struct {
		name string
		n    *uint64
	}{{"lost", l.Lost}, {"fixed", l.Repaired}, {"CRC", l.CRCErrors}, {"forged", l.AuthFailures}} {
		if c.n != nil {
			b += fmt.Sprintf(", %s %d", c.name, *c.n)
		}
	}
	return b
}

// Screen is the status screen. It ends in a line end.
func Screen(s Status) string {
	snap := s.Report.Snapshot
	var b strings.Builder
	line := func(format string, a ...any) { b.WriteString(clip(fmt.Sprintf(format, a...), columns) + "\n") }
	line("HELIOGRAPH %s  %s%s%s  up %s", strings.ToUpper(s.Role), s.Host, words("  pair ", snap.Pair), words("  version ", snap.Version), up(s.Up))
	line("STATE %s", state(s))
	line("LINK  %s  %s%s%s", or(snap.Link.Medium), counts(snap.Link), heard(snap.Link), words("  ", snap.Link.State))
	line("TIME  %s%s%s", s.Now.UTC().Format("2006-01-02 15:04:05 UTC"), words("  ", snap.Clock), offset(s))
	line("NET   %s  %s", s.Board, or(s.Address))
	names := slices.Sorted(maps.Keys(snap.Channels))
	for i, name := range names {
		if i == channels {
			line("      and %d more channels", len(names)-channels)
			break
		}
		line("CHAN  %s", channel(name, snap.Channels[name]))
	}
	for i, p := range snap.Peers {
		if i == peers {
			line("      and %d more", len(snap.Peers)-peers)
			break
		}
		line("OUT   %s %s %s%s%s", p.Name, p.State, p.Address, spool(p.Spool), words("  ", p.Reason))
	}
	if s.Rejected > 0 {
		line("CERT  %d rejected: press c to look at them", s.Rejected)
	}
	return b.String()
}

func words(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func heard(l status.Link) string {
	if l.LastHeartbeatAgeSeconds == nil || *l.LastHeartbeatAgeSeconds < 0 {
		return ""
	}
	return fmt.Sprintf(", heard %.1f s ago", *l.LastHeartbeatAgeSeconds)
}

func offset(s Status) string {
	if c := s.Report.Clock; c.Known {
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
		name string
		n    *uint64
	}{{"keys", c.Keys}, {"sent", c.Sent}, {"delivered", c.Delivered}, {"lost", c.Lost}, {"dropped", c.Dropped}} {
		if n.n != nil && (*n.n > 0 || n.name != "dropped") {
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
