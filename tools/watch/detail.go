package watch

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/status"
)

// detail is everything of one board, in lines of a width.
func detail(r *Row, width int, now time.Time) (lines []string) {
	style := colour(r.Level)
	add := func(format string, a ...any) { lines = append(lines, clip(fmt.Sprintf(format, a...), width)) }
	lines = append(lines, style.Render(clip(fmt.Sprintf("%s %s  %s  (since %s, %s ago)", mark(r.Level), r.Name(),
		r.Sentence, r.Since.Format(time.DateTime), ago(r.Since, now)), width)))
	for _, reason := range r.Reasons {
		text := reason.Text
		if reason.Channel != "" {
			text = reason.Channel + ": " + text
		}
		if !reason.Since.IsZero() {
			text += ", for " + ago(reason.Since, now)
		}
		for i, part := range wrap(text, width-4) {
			lines = append(lines, []string{"  - ", "    "}[min(i, 1)]+part)
		}
	}
	add("")
	if r.status == nil {
		add("address   %s, no answer yet", r.Address)
		return lines
	}
	add("address   %s, last answer %s ago", r.Address, ago(r.Contact, now))
	s := r.status
	add("role      helio%s %s, up %s, clock: %s", s.Role, s.Version, seconds(&s.UptimeSeconds), s.Clock)
	lines = append(lines, linkLines(r, width)...)
	lines = append(lines, channelLines(s, width)...)
	lines = append(lines, restLines(s, width, now)...)
	return lines
}

// linkLines is the link and its margin.
func linkLines(r *Row, width int) []string {
	s, m := r.status, r.Margin
	heartbeat := ""
	if s.Link.LastHeartbeatAgeSeconds != nil {
		heartbeat = ", last heartbeat " + seconds(s.Link.LastHeartbeatAgeSeconds) + " ago"
	}
	lines := []string{
		fmt.Sprintf("link      %s, %s%s", s.Link.Medium, r.Link, heartbeat),
		fmt.Sprintf("margin    %s: %s frames, %s repaired, %s lost", seconds(&m.Seconds), short(m.Frames),
			short(m.Repaired), short(m.Lost)),
		fmt.Sprintf("          since its start: %s damaged, %s not authentic, %s dropped by the kernel",
			count(s.Link.CRCErrors), count(s.Link.AuthFailures), count(s.Link.Dropped)),
	}
	if p := s.Replay; p != nil {
		text := fmt.Sprintf("healing   an outage of up to %s heals", seconds(&p.WindowSeconds))
		if p.PassSeconds != nil {
			text += fmt.Sprintf("; one pass takes %s", seconds(p.PassSeconds))
		}
		lines = append(lines, text)
	}
	for i := range lines {
		lines[i] = clip(lines[i], width)
	}
	return lines
}

// channelLines is the table of channels.
func channelLines(s *status.Snapshot, width int) []string {
	const form = "  %s %-7s %7s %9s %9s %6s %7s %6s  %s"
	name := minPair
	for n := range s.Channels {
		name = min(maxPair, max(name, len(n)))
	}
	lines := []string{"", dim.Render(clip(fmt.Sprintf(form, pad("CHANNEL", name), "", "RATE", "RECORDS", "CONFLATED",
		"LOST", "MISSING", "AGE", "SOURCE"), width))}
	for _, n := range slices.Sorted(maps.Keys(s.Channels)) {
		c := s.Channels[n]
		records := c.Delivered
		if s.Role == "tx" {
			records = c.Sent
		}
		rate := "–"
		if c.Rate != nil {
			rate = fmt.Sprintf("%.1f/s", *c.Rate)
		}
		lost := value(c.Lost) + value(c.Unknown) + value(c.Dropped) + value(c.Missed)
		line := clip(fmt.Sprintf(form, pad(n, name), c.Protocol, rate, count(records), count(c.Conflated),
			short(lost-min(lost, value(c.OpenRecords))), short(value(c.OpenRecords)), seconds(c.AgeSeconds),
			strings.TrimSpace(c.SourceState+" "+c.SourceReason)), width)
		if c.SourceState != "up" {
			line = bad.Render(line)
		}
		lines = append(lines, line)
	}
	return lines
}

// restLines is what the pair stands beside: sinks, clients, boards, certificates.
func restLines(s *status.Snapshot, width int, now time.Time) (lines []string) {
	section := func(title string, list []string) {
		if len(list) > 0 {
			lines = append(lines, "", dim.Render("  "+title))
			for _, l := range list {
				lines = append(lines, "  "+clip(l, width-2))
			}
		}
	}
	var peers, clients, boards, certificates []string
	for _, p := range s.Peers {
		text := fmt.Sprintf("%s %s %s %s", p.Name, p.State, p.Address, p.Reason)
		if p.Spool != nil && p.Spool.Records > 0 {
			text += fmt.Sprintf("; %d records wait", p.Spool.Records)
		}
		peers = append(peers, strings.TrimSpace(text))
	}
	for _, c := range s.Clients {
		clients = append(clients, strings.Join(strings.Fields(strings.Join([]string{c.Channel, c.Protocol, c.Address,
			c.User, c.Application}, " ")), " "))
	}
	if s.ClientsMore > 0 {
		clients = append(clients, fmt.Sprintf("and %d more", s.ClientsMore))
	}
	for _, b := range s.Boards {
		boards = append(boards, boardLine(b))
	}
	for _, c := range s.Certificates {
		certificates = append(certificates, fmt.Sprintf("%s %s ends %s (%s)", c.Board, c.Name,
			c.Expires.Format(time.DateOnly), left(c.Expires, now)))
	}
	section("SOURCES AND SINKS", peers)
	section("CLIENTS", clients)
	section("BOARDS", boards)
	section("CERTIFICATES", certificates)
	return lines
}

func boardLine(b status.Board) string {
	parts := []string{"helio" + b.Role, b.Name, b.Version}
	if b.UptimeSeconds > 0 {
		parts = append(parts, "up "+seconds(&b.UptimeSeconds))
	}
	if b.Temperature != nil {
		parts = append(parts, fmt.Sprintf("%.0f °C", *b.Temperature))
	}
	if b.Supply != "" {
		parts = append(parts, "supply "+b.Supply)
	}
	if b.Card != "" {
		parts = append(parts, "card "+b.Card)
	}
	return strings.Join(parts, "  ")
}

func left(t, now time.Time) string {
	if now.After(t) {
		return "ended"
	}
	return "in " + lasted(t.Sub(now))
}

func seconds(s *float64) string {
	if s == nil {
		return "–"
	}
	return lasted(time.Duration(*s * float64(time.Second)))
}
