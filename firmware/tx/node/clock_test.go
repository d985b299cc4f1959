package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/timekeeping"
)

func TestTheClock(t *testing.T) {
	errSilent := errors.New("no answer")
	for name, c := range map[string]struct {
		synchronized bool
		servers      []string
		offset       time.Duration
		err          error
		set          bool
		state        string
		number       bool // whether PID 1 is given an estimate
	}{
		"nothing keeps it":   {false, nil, 0, nil, false, "not synchronized", false},
		"something keeps it": {true, nil, 0, nil, true, "synchronized", false},
		"a server confirms it": {false, []string{"10.0.0.1"}, 2 * time.Millisecond, nil, true,
			"ntp 10.0.0.1, off by 2ms", true},
		"a server denies it": {false, []string{"10.0.0.1"}, time.Minute, nil, false, "ntp 10.0.0.1, off by 1m0s", true},
		"no server answers": {false, []string{"10.0.0.1"}, 0, errSilent, false,
			"not synchronized: no time server answers: 10.0.0.1: no answer", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := testConfig(t)
				cfg.TX.Time = c.servers
				cfg.Synchronized = func() bool { return c.synchronized }
				r := newRig(t, cfg)
				r.ntp.Query = func(context.Context, string) (timekeeping.Answer, error) {
					return timekeeping.Answer{Offset: c.offset}, c.err
				}
				r.run(t, func() {
					settle()
					if got := r.clockSet(); got != c.set {
						t.Errorf("set: got %v, want %v", got, c.set)
					}
					if got := r.Snapshot().Clock; got != c.state {
						t.Errorf("got %q, want %q", got, c.state)
					}
					if got := r.Report().Clock; (got.Number > 0) != c.number || c.number &&
						got.OffsetSeconds != c.offset.Seconds() {
						t.Errorf("report: got %+v", got)
					}
				})
			})
		})
	}
}
