// Package probe sends from the receiver's end of a link towards the transmitter: by each
// means that the medium has, whether or not a one-way link lets any of it through. What
// arrives there is for the transmitter to count.
//
// It refuses to send anything but probes, and to read what the receiver reads: on a serial
// line it only writes, on a network it looks at one frame, for TX's addresses.
package probe

import (
	"context"
	"errors"
	"time"

	"heliograph/firmware/config"
	"heliograph/tools/accept"
)

// Our own choices.
const (
	pause   = time.Millisecond // between two probes
	settled = 200 * time.Millisecond
	noFrame = 10 * time.Second // without a frame of TX, its addresses are not known
)

var errNoFrame = errors.New("no frame of TX arrived, so that its address is not known")

// Send sends count probes by each means that the medium has.
func Send(ctx context.Context, link config.Link, count int) accept.Reverse {
	switch link.Medium {
	case config.Ethernet:
		return ethernet(ctx, link.Interface, count)
	case config.UDP:
		return udp(ctx, link.Address, count)
	case config.UART:
		return uart(ctx, link.Device, count)
	}
	return accept.Reverse{Reason: "this medium has no probe"}
}
