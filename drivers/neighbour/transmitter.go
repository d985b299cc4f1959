package neighbour

import (
	"context"
	"log/slog"
	"sync"
)

// Medium is what transmits to the machine.
type Medium interface {
	Transmit(frames [][]byte) (sent int, err error)
	Close() error
}

// Transmitter is a medium that says why it cannot, instead of sending to a machine that
// the kernel would first ask for.
type Transmitter struct {
	medium Medium
	entry  *Entry
	stop   context.CancelFunc
	kept   sync.WaitGroup
}

// Guard keeps the entry of the machine at address while the medium is open. The medium is
// closed if that fails.
func Guard(medium Medium, address, mac string, log *slog.Logger) (*Transmitter, error) {
	e, err := New(address, mac, log)
	if err != nil {
		_ = medium.Close()
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	t := &Transmitter{medium: medium, entry: e, stop: stop}
	t.kept.Go(func() { e.Keep(ctx) })
	return t, nil
}

// Transmit is the medium's, while the machine is in the neighbour table.
func (t *Transmitter) Transmit(frames [][]byte) (sent int, err error) {
	if err := t.entry.Err(); err != nil {
		return 0, err
	}
	return t.medium.Transmit(frames)
}

// Close closes the medium. The entry stays in the table.
func (t *Transmitter) Close() error {
	t.stop()
	t.kept.Wait()
	return t.medium.Close()
}
