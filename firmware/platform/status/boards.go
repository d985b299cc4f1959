package status

import (
	"fmt"
	"slices"
	"time"

	"heliograph/firmware/platform/machine"
)

// boardView is a board as the page shows it.
type boardView struct {
	Role, Name string
	Own        bool
	Host       bool
	Facts      []fact // those that are known
}

// fact is one line of a board.
type fact struct {
	Name, Text, More string
	Tone             string // class: "warn", "bad" or ""
}

// BoardViews are the boards that are known; this one always is.
func (v *view) BoardViews() (list []boardView) {
	boards := v.Boards
	if !slices.ContainsFunc(boards, func(b Board) bool { return b.Role == v.Role }) {
		boards = append(slices.Clone(boards), Board{Role: v.Role, Version: v.Version})
	}
	for _, b := range boards {
		shown := boardView{Role: b.Role, Name: b.Name, Own: b.Role == v.Role, Host: b.onHost()}
		if shown.Own {
			b.SetRelease(v.Release)
			shown.Host = b.onHost()
			shown.Facts = append(append(b.facts(), v.ownFacts()...), b.probeFact(v.Now))
		} else {
			shown.Facts = b.facts()
		}
		shown.Facts = slices.DeleteFunc(shown.Facts, func(f fact) bool { return f.Text == "" })
		list = append(list, shown)
	}
	return list
}

// Machines is what BoardViews are, in one word.
func (v *view) Machines() string {
	if slices.ContainsFunc(v.BoardViews(), func(b boardView) bool { return b.Host }) {
		return "machines"
	}
	return "boards"
}

// onHost reports whether a role runs on a Linux host: it has neither a release nor a heartbeat LED.
func (b Board) onHost() bool { return b.LED == nil && b.Release == "" && b.LastUpdate == "" }

// facts are those that each board says of itself.
func (b Board) facts() []fact {
	var led, up, temperature, supply fact
	if b.LED != nil {
		led = fact{Text: sentence(b.LED.Pattern), More: b.LED.Means}
	}
	if b.UptimeSeconds > 0 {
		up.Text = Rounded(b.UptimeSeconds)
	}
	if b.Temperature != nil {
		temperature.Text = fmt.Sprintf("%.0f °C", *b.Temperature)
	}
	if supply.Text = b.Supply; b.Supply != "" && b.Supply != machine.Fine {
		supply.Tone = "bad"
	}
	led.Name, up.Name, temperature.Name, supply.Name = "LED", "Up", "Temperature", "Supply"
	disk := fact{Name: "Card", Text: b.Card}
	if b.onHost() {
		disk.Name = "Disk"
	}
	return []fact{led, {Name: "Clock", Text: b.Clock}, temperature, supply, disk, up,
		{Name: "Version", Text: b.Version}, {Name: "Release", Text: b.Release},
		{Name: "Last update", Text: b.LastUpdate}}
}

// probeFact is the newest reverse probe.
func (b Board) probeFact(now time.Time) fact {
	f := fact{Name: "Reverse probe", Text: b.ProbeWords(now)}
	switch p := b.Probe; {
	case f.Text == "":
	case p.CameBack:
		f.Tone, f.More = "bad", "this link is not one-way: take it out of service, and find the path back"
	case p.Reason != "" || value(p.Received) > 0:
		f.Tone, f.More = "warn", p.Reason
	}
	return f
}

// ProbeWords are the newest reverse probe in short, "" where none was sent.
func (b Board) ProbeWords(now time.Time) string {
	p := b.Probe
	if p == nil || p.Time.IsZero() {
		return ""
	}
	layout := "15:04 UTC"
	if now.UTC().Format(time.DateOnly) != p.Time.UTC().Format(time.DateOnly) {
		layout = "2006-01-02 15:04 UTC"
	}
	at := p.Time.UTC().Format(layout)
	switch {
	case p.Total() == 0:
		return "none sent at " + at
	case p.Received == nil:
		return fmt.Sprintf("%d sent at %s, what TX received is not known yet", p.Total(), at)
	}
	return fmt.Sprintf("%d sent at %s, %d received at TX", p.Total(), at, *p.Received)
}

// ownFacts are those that only the board itself knows.
func (v *view) ownFacts() (list []fact) {
	if d := v.Disk; d != nil {
		f := fact{Name: "Disk of the state", Text: size(d.Free) + " of " + size(d.Bytes) + " free", More: d.Fault}
		if d.Fault != "" {
			f.Tone = "bad"
		}
		list = append(list, f)
	}
	if r := v.Release; r != nil && r.Fault != "" {
		list = append(list, fact{Name: "Updates", Text: r.Fault, Tone: "bad"})
	}
	return list
}
