// Package bench measures the link as the budgets ask, with the real pipelines
// and the real drivers of both ends in one process.
//
// Figures depend on the machine and on what else it does: compare ratios within
// one run. CPU time is that of the whole process, both ends and the load
// generator included.
package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"heliograph/drivers/udp"
	"heliograph/firmware/conduit/wire"
	rx "heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	tx "heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/source"
)

// rig is a pair of links in this process.
type rig struct {
	tx      *tx.Link
	rx      *rx.Link
	port    source.Holder
	channel *rx.Channel
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

const channel = "bench"

// admit accepts every epoch.
type admit struct{}

func (admit) Admit(uint64, [16]byte) (uint64, error) { return 0, nil }

// options are what a rig is made of.
type options struct {
	profile     wire.Profile
	rate        float64 // bytes per second
	overhead    float64
	share       float64
	ahead       time.Duration
	class       wire.Class
	transmitter tx.Transmitter
	receiver    rx.Receiver
	encode      func(dst, frame []byte) []byte
	synchronize interface {
		Push(chunk []byte, deliver func(frame []byte))
		Idle(deliver func(frame []byte))
	}
}

// udpOptions are those of a pair on loopback.
func udpOptions(rate float64) (options, error) {
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return options{}, fmt.Errorf("bench: %v", err)
	}
	address := free.LocalAddr().String()
	_ = free.Close() // its port is wanted
	r, err := udp.Listen(address)
	if err != nil {
		return options{}, fmt.Errorf("bench: %v", err)
	}
	t, err := udp.Dial(address)
	if err != nil {
		return options{}, fmt.Errorf("bench: %v", err)
	}
	return options{
		profile: wire.DatagramProfile(udp.MaxFrame, udp.Overhead), rate: rate, overhead: 0.25, share: 0.1,
		ahead: 500 * time.Microsecond, transmitter: t, receiver: r,
	}, nil
}

// to returns s for any channel, as start wants it.
func to(s sink.Sink) func(*rx.Channel) sink.Sink {
	return func(*rx.Channel) sink.Sink { return s }
}

// start runs both ends; deliver returns the sink of the channel.
func start(o options, deliver func(*rx.Channel) sink.Sink) (*rig, error) {
	key := wire.PairKey{1}
	session, err := wire.NewSession(key, 1, [16]byte{1})
	if err != nil {
		return nil, fmt.Errorf("bench: %v", err)
	}
	log := slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{cancel: cancel}
	r.rx = rx.New(rx.Config{Key: key, Anchor: admit{}, StaleAfter: 3 * time.Second, Synchronizer: o.synchronize,
		Log: log}, o.receiver)
	r.channel = r.rx.Channel(channel)
	r.channel.DeliverTo(deliver(r.channel))
	r.tx = tx.New(tx.Config{
		Profile: o.profile, Rate: o.rate, Overhead: o.overhead, CarouselShare: o.share, Ahead: o.ahead,
		Session: session, Encode: o.encode, Log: log,
	}, o.transmitter)
	r.port = r.tx.Port(channel, o.class)
	for _, run := range []func(context.Context) error{r.rx.Run, r.tx.Run} {
		r.done.Go(func() { _ = run(ctx) }) // what it could not do shows in the figures
	}
	return r, nil
}

func (r *rig) stop() {
	r.cancel()
	r.done.Wait()
}

// queued is how many bytes wait at the transmitter.
func (r *rig) queued() int { return r.tx.Channels()[0].Queued }

// cpu returns the CPU time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
