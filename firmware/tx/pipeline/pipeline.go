// Package pipeline is the loop that moves records from the sources to the wire.
//
// One value's way on the plant's side:
//
//	tx/source/…   reads it and Puts it into its port
//	port.go       makes it a record of its channel
//	tx/send       queues, numbers, packs, protects and seals it
//	pipeline.go   passes its frame to the medium when the pacer allows it
//	drivers/…     transmits the frame
//
// The loop owns the only goroutine between the sources and the medium. It refuses
// to depend on a receiver: it waits for its own clock and its own medium alone.
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
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/tx/replay"
	"heliograph/firmware/tx/send"
	"heliograph/firmware/tx/source"
)

// Transmitter is a medium. It has no way to receive.
type Transmitter interface {
	// Transmit sends frames in order and returns how many have left: fewer than all, without
	// an error, while it has no room for more. It does not keep them, and blocks for a few
	// milliseconds at most.
	Transmit(frames [][]byte) (sent int, err error)
	Close() error
}

// Config is what a link needs.
type Config struct {
	Profile       wire.Profile
	Rate          float64       // of the medium, bytes per second
	Overhead      float64       // floor of parity ÷ source frames
	CarouselShare float64       // of the line
	Ahead         time.Duration // how long the medium may be busy with what was passed to it
	ChannelState  int           // bytes of state in one channel, at most; 0: send's default
	State         int           // … in all channels
	Session       *wire.Session
	// Encode appends the medium's own form of a frame, where it has one.
	Encode func(dst, frame []byte) []byte
	// Totals keeps the channels' totals for the next run; nil: they are not kept.
	Totals Keeper
	// Replay keeps what has left, to send it again; nil: nothing is sent again.
	Replay *replay.Window
	Log    *slog.Logger
}

// Keeper keeps how many records each channel has passed to the link.
type Keeper interface {
	// Earlier returns how many records of a channel earlier runs had.
	Earlier(channel string) uint64
	// Keep keeps the present totals. It is called before the Left of any record they
	// contain, and must not wait for a disk.
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
	pause  *time.Timer // between two attempts to transmit a batch
	ports  []*port

	words  [][]byte // encoded frames
	unsent [][]byte // of the last batch, what the medium has not accepted yet

	totals [2][]send.Total // as last kept, and as they are
	kept   time.Time

	steps atomic.Uint64 // rounds of the loop, also while nothing is sent

	mu     sync.Mutex
	err    error // of the medium, nil while it transmits
	counts send.FrameCounts
	closed atomic.Bool
}

// Our own choices.
const (
	keepEvery = 100 * time.Millisecond // totals of records without a Left
	catchUp   = 4 * time.Millisecond   // what the pacer makes up for after a pause
	maxBatch  = 64 << 10               // bytes passed to the medium at once
	retry     = 20 * time.Millisecond  // of a medium that is away; one without room is tried again earlier
	leastWait = 100 * time.Microsecond // for room, so that a medium without a time of its own is not asked all the time
	beside    = 200 * time.Millisecond // of the line: how long droppable events delay those with a Left
	held      = 100 * time.Millisecond // of the line: what waits in a channel of events with a Left
	drainFor  = 500 * time.Millisecond // at the end, for what still waits
	totalsFor = 250 * time.Millisecond // … and then for the last totals
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
	mux := send.NewMux(send.MuxConfig{
		Room: c.Profile.Payload(), CarouselShare: c.CarouselShare, Start: start, Limits: limits,
		Replay: c.Replay,
	})
	c.Log = c.Log.With("component", "link")
	sender := send.NewSender(mux, c.Profile, c.Rate, c.Overhead, c.Session)
	return &Link{
		config: c, medium: medium, mux: mux, sender: sender,
		pacer: send.NewPacer(c.Rate, catchUp),
		wake:  make(chan struct{}, 1),
	}
}

// SetClock sets whether the machine's clock is the time of day.
func (l *Link) SetClock(set bool) { l.mux.SetClock(set) }

// String names the task.
func (l *Link) String() string { return "link " + l.sender.String() }

// Steps returns how many rounds the loop has made: several a second, unless it
// hangs.
func (l *Link) Steps() uint64 { return l.steps.Load() }

// Ready returns the medium's error while it does not transmit.
func (l *Link) Ready() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return cause.Link(fmt.Errorf("link: %w", l.err))
	}
	return nil
}

// Run sends until ctx ends, and then what still waits and the last totals, for a bounded
// time.
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
	frames, cost, err := l.sender.Frames(now, min(budget, maxBatch), l.pacer.Idle(now))
	if err != nil {
		return 0, err
	}
	if len(frames) == 0 {
		return max(l.wakeAt().Sub(now), time.Microsecond), nil
	}
	l.pacer.Spend(now, cost)
	l.unsent = l.encode(frames)
	l.transmit(ctx, now)
	l.mu.Lock()
	l.counts = l.sender.Counts()
	l.mu.Unlock()
	return 0, nil
}

// wakeAt returns when there will be something to send even if nothing is Put.
func (l *Link) wakeAt() time.Time {
	at, again := l.sender.Wake(), l.sender.ReplayWake()
	if again.IsZero() {
		return at
	}
	if idle := l.pacer.IdleAt(); again.Before(idle) {
		again = idle
	}
	if again.Before(at) {
		return again
	}
	return at
}

// keepTotalsIfDue has the totals kept, unless they were a moment ago.
func (l *Link) keepTotalsIfDue(now time.Time) {
	if now.Sub(l.kept) >= keepEvery {
		l.kept = now
		l.keepTotals()
	}
}

// keepTotals has the totals kept, if they changed.
func (l *Link) keepTotals() {
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

// encode returns frames in the medium's own form.
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

// transmit passes the batch to the medium until all of it has left, and calls the Left of
// what is complete with it: what a medium that is away (an interface removed, a port
// unplugged) does not accept is kept, and the channels' queues bound what waits behind it,
// which the totals count meanwhile. It returns false when ctx ended before that.
func (l *Link) transmit(ctx context.Context, now time.Time) bool {
	for len(l.unsent) > 0 {
		l.steps.Add(1)
		n, err := l.medium.Transmit(l.unsent)
		l.unsent = l.unsent[n:]
		l.setMedium(err)
		if len(l.unsent) == 0 {
			break
		}
		l.keepTotalsIfDue(time.Now())
		if !l.waitToRetry(ctx, err != nil) {
			return false
		}
	}
	if l.sender.Acknowledging() {
		l.kept = now
		l.keepTotals()
	}
	l.keepTotalsIfDue(now)
	l.sender.Sent()
	return true
}

// waitToRetry waits until a medium that did not take all of a batch is to have the rest, and
// returns false when ctx ended before that. One that has no room is busy for Ahead at least: it
// is asked again at half of that, so that its line never runs empty.
func (l *Link) waitToRetry(ctx context.Context, away bool) bool {
	wait := retry
	if !away {
		wait = min(max(l.config.Ahead/2, leastWait), retry)
	}
	if l.pause == nil {
		l.pause = time.NewTimer(wait)
	} else {
		l.pause.Reset(wait)
	}
	select {
	case <-ctx.Done():
		return false
	case <-l.pause.C:
		return true
	}
}

// setMedium keeps the medium's state, and logs when it changes.
func (l *Link) setMedium(err error) {
	l.mu.Lock()
	changed := (err == nil) != (l.err == nil)
	l.err = err
	l.mu.Unlock()
	if changed && err != nil {
		l.config.Log.Warn("not transmitting; frames are kept", "state", "down", "error", err, "retry", retry.String())
	} else if changed {
		l.config.Log.Info("transmitting again", "state", "up")
	}
}

// drain sends the rest of the last batch, then what waits, and then the channels' last totals.
func (l *Link) drain() error {
	err := l.sendWhile(drainFor, func() bool { return l.mux.Waiting() || l.sender.Open() })
	l.closed.Store(true)
	if err != nil {
		return err
	}
	l.mux.End()
	return l.sendWhile(totalsFor, func() bool { return !l.mux.Ended() || l.sender.Open() })
}

// sendWhile sends the rest of the last batch, and more while there is more to send, for a
// bounded time.
func (l *Link) sendWhile(atMost time.Duration, more func() bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), atMost)
	defer cancel()
	if !l.transmit(ctx, time.Now()) {
		return nil
	}
	for ctx.Err() == nil && more() {
		wait, err := l.step(ctx, time.Now())
		if err != nil {
			return err
		}
		time.Sleep(min(wait, time.Millisecond))
	}
	return nil
}

// end calls the Left of what was not sent, and closes the medium.
func (l *Link) end() {
	l.closed.Store(true)
	l.sender.Abandon(source.ErrClosed)
	for _, r := range l.mux.Drain() {
		if r.Left != nil {
			r.Left(source.ErrClosed)
		}
	}
	l.keepTotals()
	if err := l.medium.Close(); err != nil {
		l.config.Log.Warn("medium not closed", "error", err)
	}
}

// Counters implements counter.Source.
func (l *Link) Counters() []counter.Set {
	counts := l.Counts()
	sets := []counter.Set{counter.Of("link", "", &counts)}
	if w := l.config.Replay; w != nil {
		stats := w.Stats()
		sets = append(sets, counter.Of("replay", "", &stats))
	}
	return sets
}

// Counts returns the frame counters.
func (l *Link) Counts() send.FrameCounts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}
