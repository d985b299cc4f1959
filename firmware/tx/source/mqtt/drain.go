package mqtt

import (
	"context"
	"time"

	"heliograph/firmware/mqtt/packet"
)

const (
	drainTimeout = 5 * time.Second // for what a broker kept for a resumed session
	drainPoll    = 20 * time.Millisecond
)

// drain waits until a broker has sent what it kept for a resumed session, so
// that it is not mistaken for what a subscription brings. A broker has no more
// when everything it sent was acknowledged on the wire, and nothing followed
// until it answered a barrier. The wire counts, for libraries queue both ways.
func (f *feed) drain(ctx context.Context, c connection) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		settled, before := f.settled()
		if err := c.barrier(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if settled && f.traffic.asked() == before {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // a busy link or a busy broker: what is left of it is little
		case <-c.lost():
			return c.cause()
		case <-time.After(drainPoll):
		}
	}
}

// settled reports whether all that came in was passed on, and its acknowledgement
// went out; asked is how much that was.
func (f *feed) settled() (settled bool, asked uint64) {
	asked = f.traffic.asked()
	in, out := &f.traffic.in, &f.traffic.out
	expected, acked := f.acks.progress()
	return f.arrived.Load() == in[packet.Publish].Load() && expected == acked &&
		out[packet.Puback].Load()+out[packet.Pubrec].Load() >= acked &&
		out[packet.Pubcomp].Load() >= in[packet.Pubrel].Load(), asked
}

// windowClosed closes the window once all has come that the subscription brings
// on 3.1.1, and reports whether it is closed.
func (f *feed) windowClosed(now time.Time) bool {
	_, acked := f.acks.progress()
	return f.source.retained.closeWindow(now, acked)
}
