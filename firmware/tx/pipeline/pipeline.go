// Package pipeline is the loop that moves records from the sources to the wire.
//
// One value's way on the plant's side:
//
//	tx/source/…   hears of it and Puts it into its port
//	port.go       becomes a record of its channel
//	tx/send       waits, is numbered, packed, protected and sealed
//	pipeline.go   is given to the medium when the pacer says so
//	drivers/…     leaves
//
// The loop owns the only goroutine between the sources and the medium. It
// refuses to let anything a receiver does or does not do slow it down: the
// only thing it waits for is its own clock and its own medium.
package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/tx/send"
	"heliograph/firmware/tx/source"
)

// Transmitter is a medium. It has no way to receive.
type Transmitter interface {
	// Transmit sends frames in order and returns how many have left. It does
	// not keep them, and blocks for a few milliseconds at most.
	Transmit(frames [][]byte) (sent int, err error)
	Close() error
}

// Config is what a link has to know.
type Config struct {
	Profile       wire.Profile
	Rate          float64       // of the medium, bytes per second
	Overhead      float64       // floor of parity ÷ source frames
	CarouselShare float64       // of the line
	Ahead         time.Duration // how long the medium may be busy with what it was given
	ChannelState  int           // bytes of state in one channel, at most; 0: send's default
	State         int           // … in all channels
	Session       *wire.Session
	// Encode appends the medium's own form of a frame, where it has one.
	Encode func(dst, frame []byte) []byte
	// Totals keeps the channels' totals for the next run; nil: nothing does.
	Totals Keeper
	Log    *slog.Logger
}

// Keeper keeps how many records each channel has handed to the link.
type Keeper interface {
	// Earlier returns how many records of a channel earlier runs had.
	Earlier(channel string) uint64
	// Keep takes the totals as they stand. It is called before any source hears that
	// its records left, and must not wait for a disk.
	Keep([]send.Total)
}

// Link is the transmitting end. It implements task.Task.
type Link struct {
	config Config
	medium Transmitter
	mux    *send.Mux
	sender *send.Sender
	pacer  *send.Pacer
	wake   chan struct{}
	ports  []*port

	words [][]byte // encoded frames

	totals [2][]send.Total // as kept last, and as they stand
	kept   time.Time

	steps atomic.Uint64 // rounds, also while nothing moves

	mu     sync.Mutex
	err    error // of the medium, nil while frames leave
	counts send.FrameCounts
	closed atomic.Bool
}

// Our own choices.
const (
	keepEvery = 100 * time.Millisecond // totals of records that nobody waits to hear of
	catchUp   = 4 * time.Millisecond   // what the pacer makes up for after a pause
	maxBatch  = 64 << 10               // bytes handed to the medium at once
	retry     = 20 * time.Millisecond
	beside    = 200 * time.Millisecond // of the line: how long droppable events delay those whose source waits
	held      = 100 * time.Millisecond // of the line: what waits in a channel of events whose source waits
	drainFor  = 500 * time.Millisecond // at the end, for what still waits
)

// Our own bounds of held, in bytes.
const (
	leastHeld = 256 << 10
	mostHeld  = 8 << 20
)

// New returns a link that is not running yet. Ports may be used at once.
func New(c Config, medium Transmitter) *Link {
	start := time.Now()
	limits := send.Limits{
		ChannelState: c.ChannelState, State: c.State,
		Beside: int(c.Rate * beside.Seconds()), Held: min(max(int(c.Rate*held.Seconds()), leastHeld), mostHeld),
	}
	mux := send.NewMux(send.MuxConfig{Room: c.Profile.Payload(), CarouselShare: c.CarouselShare, Start: start, Limits: limits})
	return &Link{
		config: c, medium: medium, mux: mux,
		sender: send.NewSender(mux, c.Profile, c.Rate, c.Overhead, c.Session),
		pacer:  send.NewPacer(c.Rate, catchUp),
		wake:   make(chan struct{}, 1),
	}
}

// SetClock says whether the machine's clock is the time of day.
func (l *Link) SetClock(set bool) { l.mux.SetClock(set) }

// String names the task.
func (l *Link) String() string { return "link " + l.sender.String() }

// Steps returns how often the link went round: several times a second, unless
// it is stuck.
func (l *Link) Steps() uint64 { return l.steps.Load() }

// Ready returns the medium's error while frames do not leave.
func (l *Link) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return fmt.Errorf("link: %v", l.err)
	}
	return nil
}

// Run sends until ctx ends; then for a moment what still waits.
func (l *Link) Run(ctx context.Context) error {
	defer l.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		wait, err := l.step(ctx, time.Now())
		if err != nil {
			return err
		}
		if wait <= 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-l.wake:
		}
	}
	return l.drain()
}

// step sends one batch if there is something to send and room on the line, and
// returns how long to wait before the next.
func (l *Link) step(ctx context.Context, now time.Time) (time.Duration, error) {
	budget := l.pacer.Budget(now, l.config.Ahead)
	if budget <= 0 {
		return max(l.pacer.Free().Add(-l.config.Ahead).Sub(now), time.Microsecond), nil
	}
	frames, cost, err := l.sender.Frames(now, min(budget, maxBatch))
	if err != nil {
		return 0, err
	}
	if len(frames) == 0 {
		return max(l.sender.Wake().Sub(now), time.Microsecond), nil
	}
	l.pacer.Spend(cost)
	if l.transmit(ctx, l.encode(frames)) {
		if l.sender.Acknowledging() || now.Sub(l.kept) >= keepEvery {
			l.kept = now
			l.keep()
		}
		l.sender.Sent()
	}
	l.mu.Lock()
	l.counts = l.sender.Counts()
	l.mu.Unlock()
	return 0, nil
}

// keep has the totals kept, if they changed.
func (l *Link) keep() {
	if l.config.Totals == nil {
		return
	}
	now := l.mux.AppendTotals(l.totals[1][:0])
	l.totals[1] = now
	if !slices.Equal(now, l.totals[0]) {
		l.config.Totals.Keep(now)
		l.totals[0], l.totals[1] = l.totals[1], l.totals[0]
	}
}

func (l *Link) encode(frames [][]byte) [][]byte {
	if l.config.Encode == nil {
		return frames
	}
	for len(l.words) < len(frames) {
		l.words = append(l.words, nil)
	}
	for i, f := range frames {
		l.words[i] = l.config.Encode(l.words[i][:0], f)
	}
	return l.words[:len(frames)]
}

// transmit hands frames to the medium until all have left: what a medium that
// is away (an interface removed, a port unplugged) does not take is kept, and
// the channels' queues bound what waits behind it. It returns false when ctx
// ended before that.
func (l *Link) transmit(ctx context.Context, frames [][]byte) bool {
	for {
		l.steps.Add(1)
		n, err := l.medium.Transmit(frames)
		frames = frames[n:]
		l.note(err)
		if len(frames) == 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(retry):
		}
	}
}

// note keeps the medium's state, and logs when it changes.
func (l *Link) note(err error) {
	l.mu.Lock()
	changed := (err == nil) != (l.err == nil)
	l.err = err
	l.mu.Unlock()
	if changed && err != nil {
		l.config.Log.Warn("link: frames do not leave; they are kept and tried again", "error", err)
	} else if changed {
		l.config.Log.Info("link: frames leave again")
	}
}

// drain sends what waits, within drainFor.
func (l *Link) drain() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainFor)
	defer cancel()
	for ctx.Err() == nil && (l.mux.Waiting() || l.sender.Open()) {
		wait, err := l.step(ctx, time.Now())
		if err != nil {
			return err
		}
		time.Sleep(min(wait, time.Millisecond))
	}
	return nil
}

func (l *Link) end() {
	l.closed.Store(true)
	l.sender.Abandon(source.ErrClosed)
	for _, r := range l.mux.Drain() {
		if r.Left != nil {
			r.Left(source.ErrClosed)
		}
	}
	l.keep()
	if err := l.medium.Close(); err != nil {
		l.config.Log.Warn("link: closing the medium", "error", err)
	}
}

// Counters implements counter.Source.
func (l *Link) Counters() []counter.Set {
	counts := l.Counts()
	return []counter.Set{counter.Of("link", "", &counts)}
}

// Counts returns the frame counters.
func (l *Link) Counts() send.FrameCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}
