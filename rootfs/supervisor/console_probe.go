package supervisor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"heliograph/boards"
	"heliograph/drivers/probe"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/text"
)

// Our own bounds of reverse probes, which share RX's port with what it receives.
const (
	probeCount  = 100 // by each means
	probeEvery  = 30 * time.Second
	probeLength = time.Minute // at most
	mostError   = 120         // bytes of one that is published
)

// Probe implements console.Board. The role has no part in it: it cannot send on its link.
func (b *ConsoleBoard) Probe(ctx context.Context, say func(string)) error {
	role := b.config.Role
	if role.Role != "rx" {
		return errors.New("reverse probe: only a receiver sends one")
	}
	link, open := role.openedLink()
	if open == nil {
		return errors.New("reverse probe: the link is not open yet; key s says why, key l shows the log")
	}
	if left := probeEvery - time.Since(b.probed); !b.probed.IsZero() && left > 0 {
		return fmt.Errorf("reverse probe: one was sent just now; wait %.0f s", max(1, left.Seconds()))
	}
	b.config.Log.Warn("reverse probe asked for on the console")
	ctx, stop := context.WithTimeout(ctx, probeLength)
	defer stop()
	began := time.Now()
	r := role.Links.Probe(ctx, link, open, probe.Plan{Count: probeCount, Progress: func(m probe.Means) {
		say(fmt.Sprintf("%s: %d sent%s", m.Name, m.Count, after(": ", m.Error)))
	}})
	b.probed = time.Now()
	if link.Medium == config.UART {
		b.characters.Add(characters(r.Sent))
	}
	p := published(began, r, closed(b.config.Board, link))
	b.config.Facts.setProbe(p)
	var attributes []any
	if p.Reason != "" {
		attributes = append(attributes, "error", p.Reason)
	}
	b.config.Log.Warn("reverse probe sent from the console", append(attributes, "sent", p.Total())...)
	say(outcome(&p))
	return nil
}

// published is what the role and the console show of a probe. why is what it cannot prove.
func published(began time.Time, r probe.Result, why string) machine.Probe {
	p := machine.Probe{Time: began.UTC(), Left: r.Left, Reason: text.Clip(r.Reason, mostError)}
	if p.Reason == "" {
		p.Reason = why
	}
	for _, m := range r.Sent {
		m.Error = text.Clip(m.Error, mostError)
		p.Sent = append(p.Sent, machine.Means(m))
	}
	return p
}

// characters is how many of a serial port probes are at most: one that was cut short is counted
// as a whole one.
func characters(sent []probe.Means) (n int64) {
	for _, m := range sent {
		n += int64(min(m.Count+1, probeCount) * probe.Size)
	}
	return n
}

// closed says why nothing of what a link's port sends reaches a wire, "" where it does.
func closed(b boards.Board, l config.Link) string {
	if l.Medium != config.UART || l.Device != b.Link.Device || b.Link.Pins == (boards.Pins{}) {
		return ""
	}
	return fmt.Sprintf("GPIO %d (TXD) of a receiving board is an input, so that what its port sends reaches no wire",
		b.Link.Pins.TXD)
}

// outcome is what came of a probe, in words.
func outcome(p *machine.Probe) string {
	line := fmt.Sprintf("%d probes sent by %d means", p.Total(), len(p.Sent))
	if p.Total() == 0 {
		line = "No probe was sent"
	}
	if p.Left != nil {
		line += fmt.Sprintf("; the kernel counts %d packets sent by the interface", *p.Left)
	}
	return line + after(": ", p.Reason) + ". Key s shows what TX has received, once TX's counters have crossed."
}

// after is a text with what stands before it, "" for none.
func after(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}
