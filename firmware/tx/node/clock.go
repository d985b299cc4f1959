package node

import (
	"fmt"
	"time"

	"heliograph/firmware/platform/cause"
)

// maxClockError is how far off a clock may be that is called the time of day.
const maxClockError = time.Second

// clockSet reports whether the machine's clock is the time of day: because
// something keeps it, or because time servers confirm it.
func (n *Node) clockSet() bool {
	e := n.ntp.Estimate()
	return n.config.Synchronized() || e.Number > 0 && e.Offset.Abs() < maxClockError
}

// clockCause is why the clock is not set.
func (n *Node) clockCause() cause.Cause {
	switch {
	case n.clockSet():
		return cause.Cause{}
	case len(n.config.TX.Time) > 0 && n.ntp.Estimate().Number == 0:
		return cause.Cause{Code: cause.TimeServers, Detail: n.ntp.Unknown().Error()}
	}
	return cause.Cause{Code: cause.Clock, Detail: n.clockState()}
}

// clockState is the state of the machine's clock in words.
func (n *Node) clockState() string {
	e := n.ntp.Estimate()
	switch {
	case e.Number > 0:
		return fmt.Sprintf("%s, off by %s", e.Source, e.Offset.Round(time.Millisecond))
	case n.config.Synchronized():
		return "synchronized"
	case len(n.config.TX.Time) > 0:
		return "not synchronized: " + n.ntp.Unknown().Error()
	}
	return "not synchronized"
}
