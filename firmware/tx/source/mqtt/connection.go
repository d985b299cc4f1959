package mqtt

import (
	"context"
	"errors"
	"fmt"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/platform/cause"
)

// connection is a broker in one version of the protocol.
type connection interface {
	// subscribe subscribes to filters, retained messages included unless it is the
	// session's on MQTT 5.
	subscribe(ctx context.Context, filters []string, qos byte) error
	unsubscribe(ctx context.Context, filters []string) error
	// resumed reports whether the broker kept the session.
	resumed() bool
	// barrier returns once the broker has answered what does nothing: all that
	// it sent before has arrived.
	barrier(ctx context.Context) error
	// lost is closed when the connection is; cause says why.
	lost() <-chan struct{}
	cause() error
	close()
}

// role is what a connection is for.
type role struct {
	id      string // client identifier
	clean   bool   // the broker keeps no session
	window  uint16 // Receive Maximum
	message func(*payload.Message, origin)
	traffic *traffic
	skim    *skimmer // nil: all messages are handed over
	probe   bool     // no retained messages are wanted

	released func(id uint16) // a QoS 2 exchange ended; nil: nothing
}

// origin is how a message came.
type origin struct {
	id  uint16
	dup bool
	ack func() // nil: the broker expects none
}

// nowhere is a filter without a subscription, for barriers.
const nowhere = "heliograph/nowhere"

// errAnswer is a broker that does not answer in time.
var errAnswer = cause.New(cause.Unreachable, errors.New("the broker does not answer"))

// bind returns a context that ends with the connection: the libraries wait for
// an answer even when none can come any more.
func bind(ctx context.Context, c connection) (context.Context, context.CancelFunc) {
	bound, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-c.lost():
			cancel()
		case <-bound.Done():
		}
	}()
	return bound, cancel
}

// causeOfLoss prefers the reason why a connection was lost to what followed from it.
func causeOfLoss(c connection, err error) error {
	select {
	case <-c.lost():
		return fmt.Errorf("connection lost: %w", c.cause())
	default:
		return err
	}
}

// causeOf prefers the reason why a context ended to what followed from it.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
