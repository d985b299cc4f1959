package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"heliograph/tools/pair"
)

// outage is a time in which the link is cut, and what became of it.
type outage struct {
	began  time.Time
	ended  time.Time // zero: the link is cut
	sent   map[string]uint64
	before map[string]pair.Channel // RX's account when it was cut
	holes  map[string]hole
}

// hole is what is missing of a channel after an outage, in records.
type hole struct {
	size    uint64 // when it was largest
	missing uint64 // now
	open    uint64 // of missing, those that can still heal
}

// healed returns how many records of the hole have come after all.
func (h hole) healed() uint64 { return h.size - min(h.size, h.missing) }

// Cut cuts the link, if it is not cut already.
func (d *Demo) Cut() {
	sent := d.sent()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage != nil && d.outage.ended.IsZero() {
		return
	}
	d.line.link.SetCut(true)
	d.outage = &outage{began: time.Now(), sent: sent, before: d.rx.Channels, holes: map[string]hole{}}
}

// Join joins the link again and reports whether it was cut.
func (d *Demo) Join() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage == nil || !d.outage.ended.IsZero() {
		return false
	}
	d.line.link.SetCut(false)
	d.outage.ended = time.Now()
	return true
}

// Toggle cuts the link, or joins it again.
func (d *Demo) Toggle() {
	if !d.Join() {
		d.Cut()
	}
}

// cutOnce does what the options ask for.
func (d *Demo) cutOnce(ctx context.Context) {
	for _, step := range []struct {
		after time.Duration
		do    func()
	}{{d.CutAfter, d.Cut}, {d.CutFor, func() { d.Join() }}} {
		select {
		case <-ctx.Done():
			return
		case <-time.After(step.after):
			step.do()
		}
	}
}

// summary returns the outage in numbers.
func (o *outage) summary() *OutageSummary {
	if o == nil {
		return nil
	}
	s := &OutageSummary{From: o.began}
	if !o.ended.IsZero() {
		s.To = &o.ended
	}
	for _, h := range o.holes {
		s.Missing, s.Healed = s.Missing+h.size, s.Healed+h.healed()
	}
	return s
}

// look reads what both roles say, and follows how holes open and close.
func (d *Demo) look() (tx, rx pair.Status) {
	tx, rx = d.status(&d.gateway.TX), d.status(&d.gateway.RX)
	d.mu.Lock()
	defer d.mu.Unlock()
	if rx.Channels != nil {
		d.rx = rx
		if d.outage != nil {
			d.outage.follow(rx.Channels)
		}
	}
	return tx, rx
}

// follow takes RX's account of all channels.
func (o *outage) follow(now map[string]pair.Channel) {
	for name, c := range now {
		before, h := o.before[name], o.holes[name]
		h.missing = c.Lost + c.Unknown - min(c.Lost+c.Unknown, before.Lost+before.Unknown)
		h.open = min(c.OpenRecords, h.missing)
		h.size = max(h.size, h.missing+c.Healed-min(c.Healed, before.Healed))
		o.holes[name] = h
	}
}

// seen returns a copy of the newest outage, nil when there was none.
func (d *Demo) seen() *outage {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.outage == nil {
		return nil
	}
	o := *d.outage
	o.holes = map[string]hole{}
	for name, h := range d.outage.holes {
		o.holes[name] = h
	}
	return &o
}

// lines says in words how the outage stands: that of the link, and one for each channel.
func (o *outage) lines(now time.Time, sent map[string]uint64, rx pair.Status) (head string, list []string) {
	if o.ended.IsZero() {
		head = fmt.Sprintf("THE LINK IS CUT since %s (%s): no frame passes, and nothing can come back",
			clock(o.began), round(now.Sub(o.began)))
		for _, name := range channelNames {
			list = append(list, fmt.Sprintf("%-12s hole open since %s: %s sent into the dark so far", name,
				clock(o.began), grouped(sent[name]-o.sent[name])))
		}
		return head, list
	}
	head = fmt.Sprintf("The link was cut from %s to %s (%s), and joined %s ago", clock(o.began), clock(o.ended),
		round(o.ended.Sub(o.began)), round(now.Sub(o.ended)))
	for _, name := range channelNames {
		of := ""
		if name == opcuaChannel {
			of = " of all nodes" // not of the tags alone
		}
		list = append(list, fmt.Sprintf("%-12s %s", name, o.holes[name].words(of, rx)))
	}
	return head, list
}

// words says how a hole closes, and what stays lost and why. of is what is counted.
func (h hole) words(of string, rx pair.Status) string {
	if h.size == 0 {
		return "nothing is missing that RX knows of"
	}
	text := fmt.Sprintf("healed %s of %s%s", grouped(h.healed()), grouped(h.size), of)
	switch lost := h.missing - h.open; {
	case h.missing == 0:
		return text + ": the hole is closed"
	case lost == 0:
		return text + ", the rest is on its way"
	default:
		return text + fmt.Sprintf(", %s lost for good: %s", grouped(lost), why(rx))
	}
}

// why says why records that are missing do not come again.
func why(rx pair.Status) string {
	if rx.Replay == nil {
		return "TX keeps nothing"
	}
	return fmt.Sprintf("TX keeps %s", round(time.Duration(rx.Replay.WindowSeconds*float64(time.Second))))
}

// clock is a time of day.
func clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }

func round(d time.Duration) string { return d.Round(time.Second).String() }

// grouped writes a number with its thousands apart.
func grouped(n uint64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
