package supervisor

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"heliograph/firmware/platform/machine"
)

const factsInterval = 2 * time.Second

// Facts publishes to the role how the board does, which its sandbox lets it not read, and
// what the LED shows, of a receiver the newest reverse probe, and of a transmitter what its end
// of the link has received. Safe for concurrent use, but
// for Run, which runs once.
type Facts struct {
	Log    *slog.Logger
	Reader *machine.Reader
	File   string // that the role reads
	Vitals *Vitals
	LED    bool   // the board has one
	Key    string // of the console, which has a reverse probe sent; "": none can be
	// Received counts what the link has received; nil: the role is a receiver.
	Received func() *machine.Received

	mu    sync.Mutex
	probe machine.Probe // the newest
}

// setProbe has a reverse probe published.
func (p *Facts) setProbe(probe machine.Probe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probe = probe
}

// newestProbe is what is published of it; nil where none can be sent.
func (p *Facts) newestProbe() *machine.Probe {
	if p.Key == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	probe := p.probe
	probe.Key = p.Key
	return &probe
}

// Run publishes until ctx ends.
func (p *Facts) Run(ctx context.Context) {
	tick := time.NewTicker(factsInterval)
	defer tick.Stop()
	failed := false
	for reading := uint64(1); ; reading++ {
		f := p.Reader.Facts()
		if v, _ := p.Vitals.Current(); p.LED {
			f.LED = &machine.LED{Pattern: v.State.Shown(), Means: v.State.Means()}
		}
		f.Probe = p.newestProbe()
		if p.Received != nil {
			f.Received = p.Received()
		}
		if f.Received != nil {
			f.Received.Reading = reading
		}
		if err := machine.Write(p.File, f); err != nil && !failed {
			failed = true // logged once
			p.Log.Error("state of the board not published to the role", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
