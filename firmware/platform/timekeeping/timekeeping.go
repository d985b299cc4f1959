// Package timekeeping measures how far the machine's clock is from the time of
// day, by NTP (RFC 5905) on either side, or on IT's side from the transmitter's
// heartbeats. Measuring is all it does: a role may not set a clock, and on a
// board PID 1 does with what is measured here.
//
// NTP is asked as a simple client: every server once a round, 16 s apart until
// the first answer, which another follows after 2 s, since one answer alone moves no
// clock, and 64 s apart then. Answers that RFC 5905 would not accept are
// ignored. Of several servers' offsets the median counts, so that one of three that
// lies does not. There is no authentication: an attacker who can forge a server's
// answers on the plant's network can move the board's clock, within what
// rootfs/timekeeper lets it move.
package timekeeping

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

// Our own choices.
const (
	searching = 16 * time.Second
	again     = 2 * time.Second
	poll      = 64 * time.Second
	timeout   = 4 * time.Second
	// goodFor is how long a measurement counts: a crystal of 50 ppm drifts a
	// fifth of a second meanwhile.
	goodFor = time.Hour
	// widest is the root distance above which a server does not know the time
	// itself; RFC 5905 has 1 s for MAXDIST, and slow lines want more.
	widest = 3 * time.Second
)

// Estimate is how far the machine's clock is off.
type Estimate struct {
	Offset time.Duration // to be added to the machine's clock
	Source string        // "ntp 10.0.0.1"
	Number uint64        // rises with every measurement; 0: none counts
}

// NTP asks servers, as a task.
type NTP struct {
	Servers []string // host or host:port
	Log     *slog.Logger
	// Query asks one server; nil is the network.
	Query func(ctx context.Context, server string) (Answer, error)

	mu     sync.Mutex
	newest Estimate
	at     time.Time
	reason error
}

// Answer is one server's.
type Answer struct {
	Offset       time.Duration
	RootDistance time.Duration
}

// String names the task.
func (n *NTP) String() string { return "ntp" }

// Ready is always so: a role does its work without the time of day.
func (n *NTP) Ready() error { return nil }

// Unknown returns why the time of day is not known; nil when it is.
func (n *NTP) Unknown() error {
	if e := n.Estimate(); e.Number > 0 {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.reason != nil {
		return n.reason
	}
	return errors.New("no server has answered yet")
}

// Estimate returns the newest measurement while it counts.
func (n *NTP) Estimate() Estimate {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest.Number == 0 || time.Since(n.at) > goodFor {
		return Estimate{}
	}
	return n.newest
}

// Run measures until ctx ends.
func (n *NTP) Run(ctx context.Context) error {
	if n.Query == nil {
		n.Query = query
	}
	for {
		wait := searching
		switch {
		case !n.round(ctx):
		case n.Estimate().Number == 1:
			wait = again
		default:
			wait = poll
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// round asks every server once.
func (n *NTP) round(ctx context.Context) bool {
	type measured struct {
		Answer
		server string
	}
	var good []measured
	var reasons []string
	for _, s := range n.Servers {
		a, err := n.Query(ctx, s)
		if err == nil && a.RootDistance > widest {
			err = fmt.Errorf("it is %s away from the time itself", a.RootDistance)
		}
		if err != nil {
			reasons = append(reasons, fmt.Sprintf("%s: %v", s, err))
			continue
		}
		good = append(good, measured{a, s})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(good) == 0 {
		all := strings.Join(reasons, "; ")
		reason := errors.New("no time server answers: " + all)
		if n.reason == nil || n.reason.Error() != reason.Error() {
			n.Log.Warn("no time server answers", "error", all)
		}
		n.reason = reason
		return false
	}
	slices.SortFunc(good, func(a, b measured) int { return int(a.Offset - b.Offset) })
	median := good[(len(good)-1)/2]
	if n.reason != nil || n.newest.Number == 0 {
		n.Log.Info("time of day known", "server", median.server, "offset", median.Offset.String())
	}
	n.reason, n.at = nil, time.Now()
	n.newest = Estimate{Offset: median.Offset, Source: "ntp " + median.server, Number: n.newest.Number + 1}
	return true
}

// query asks over the network. Kernel timestamps, which the library would use,
// need nothing here: the gateway does not promise a millisecond.
func query(ctx context.Context, server string) (Answer, error) {
	r, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: timeout})
	if err != nil {
		return Answer{}, err
	}
	if err := r.Validate(); err != nil {
		return Answer{}, err
	}
	return Answer{Offset: r.ClockOffset, RootDistance: r.RootDistance}, ctx.Err()
}
