package supervisor

import (
	"context"
	"log/slog"
	"time"

	"heliograph/firmware/platform/machine"
)

const factsInterval = 2 * time.Second

// Facts publishes to the role how the board does, which its sandbox lets it not read, and
// what the LED shows.
type Facts struct {
	Log    *slog.Logger
	Reader *machine.Reader
	File   string // that the role reads
	Vitals *Vitals
	LED    bool // the board has one
}

// Run publishes until ctx ends.
func (p *Facts) Run(ctx context.Context) {
	tick := time.NewTicker(factsInterval)
	defer tick.Stop()
	failed := false
	for {
		f := p.Reader.Facts()
		if v, _ := p.Vitals.Current(); p.LED {
			f.LED = &machine.LED{Pattern: v.State.Shown(), Means: v.State.Means()}
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
