// Package pipeline is the loop that moves frames from the medium to the sinks.
//
// One value's way on IT's side:
//
//	drivers/…     arrives
//	pipeline.go   a UART's bytes become frames (conduit/codeword)
//	rx/receive    is opened, repaired, put in order, becomes a record
//	channels.go   finds its channel
//	rx/mirror     is accounted for, and becomes the newest state
//	rx/sink/…     is delivered
//
// The loop owns the only goroutine between the medium and the sinks. It never
// waits for a sink, and it has no way to send on the link.
package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/receive"
)

// Receiver is a medium. It has no way to send.
type Receiver interface {
	// Receive waits at most timeout and calls deliver with what arrived: a
	// frame, or a run of bytes. It is valid during the call only.
	Receive(timeout time.Duration, deliver func(chunk []byte)) error
	Close() error
}

// Config is what a link has to know.
type Config struct {
	Key        wire.PairKey
	Anchor     receive.Anchor
	StaleAfter time.Duration
	Budget     *mirror.Budget // of the channels' state; nil: no bound
	// Synchronizer turns a medium's bytes into frames, where it has no frames
	// of its own; deliver is called during both. Idle says that the line is silent.
	Synchronizer interface {
		Push(chunk []byte, deliver func(frame []byte))
		Idle(deliver func(frame []byte))
	}
	Log *slog.Logger

	base time.Time // what times of arrival count from
}

// Link is the receiving end. It implements task.Task.
type Link struct {
	config  Config
	medium  Receiver
	opener  *receive.Opener
	classes [wire.Classes]class
	decoded receive.Counts // by decoders and demuxes
	idle    bool           // nothing arrived in the last Receive

	steps atomic.Uint64 // rounds, also while nothing moves

	mu       sync.RWMutex // guards all below; held while frames are worked on
	channels map[uint16]*Channel
	names    []string
	err      error
	beat     record.Heartbeat
	beatAt   time.Time
	offset   time.Duration // smallest of arrival − TX's uptime, let rise by clockDrift each beat
	late     time.Duration // of the last heartbeat against it
	clock    time.Duration // transmitter's time of day − this machine's, by the last heartbeat that had one
	beats    uint64        // that had one
	bytes    uint64
	counts   Counts
	now      time.Time
	// failedAtBeat is how many frames had failed their authentication by the last heartbeat.
	failedAtBeat uint64
	before       Account // of the run before, until the first session opens
}

type class struct {
	decoder *receive.Decoder
	demux   *receive.Demux
}

// Our own choices.
const (
	patience = 50 * time.Millisecond // without a byte, and a line is silent
	retry    = 200 * time.Millisecond

	// clockDrift is how much two boards' clocks may differ in a heartbeat's
	// second: 200 ppm, more than crystals do. A link that grows slower faster
	// than that shows as late.
	clockDrift = 200 * time.Microsecond
)

// New returns a link that is not running yet.
func New(c Config, medium Receiver) *Link {
	c.base = time.Now()
	l := &Link{config: c, medium: medium, opener: receive.NewOpener(c.Key, c.Anchor), channels: map[uint16]*Channel{}}
	for i := range l.classes {
		demux := receive.NewDemux(&l.decoded, l.record)
		l.classes[i] = class{demux: demux, decoder: receive.NewDecoder(&l.decoded, demux.Payload, demux.Hole)}
	}
	return l
}

// String names the task.
func (l *Link) String() string { return "link" }

// Steps returns how often the link went round: several times a second, unless
// it is stuck.
func (l *Link) Steps() uint64 { return l.steps.Load() }

// Ready returns why the link does not deliver, if it does not.
func (l *Link) Ready() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch age := l.silence(); {
	case l.err != nil:
		return fmt.Errorf("link: %v", l.err)
	case l.beatAt.IsZero():
		return fmt.Errorf("link: nothing heard from the transmitter yet%s", l.forged())
	case age > l.config.StaleAfter:
		return fmt.Errorf("link: silent for %s%s", age.Round(time.Second), l.forged())
	}
	return nil
}

// forged says how many frames since the last heartbeat were not authentic.
func (l *Link) forged() string {
	n := l.opener.Counts().AuthFailed - l.failedAtBeat
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; auth_failure: %d frames are of another pair key, or forged: compare the pair.key files of both boards", n)
}

// silence is how old the transmitter's last word is, its delay on the way
// included; before the first, how long this end has been listening.
func (l *Link) silence() time.Duration {
	if l.beatAt.IsZero() {
		return time.Since(l.config.base)
	}
	return time.Since(l.beatAt) + l.late
}

// Run receives until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	defer func() {
		if err := l.medium.Close(); err != nil {
			l.config.Log.Warn("link: closing the medium", "error", err)
		}
	}()
	for ctx.Err() == nil {
		l.steps.Add(1)
		l.idle = true
		err := l.medium.Receive(patience, l.chunk)
		l.note(err)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
		}
		l.tick(time.Now())
	}
	return nil
}

// dropped asks the medium, where it knows, what the kernel has dropped.
func (l *Link) dropped() uint64 {
	if m, ok := l.medium.(interface{ Dropped() uint64 }); ok {
		return m.Dropped()
	}
	return 0
}

// note keeps the medium's state, and logs when it changes.
func (l *Link) note(err error) {
	l.mu.Lock()
	changed := (err == nil) != (l.err == nil)
	l.err = err
	l.mu.Unlock()
	if changed && err != nil {
		l.config.Log.Warn("link: the medium cannot be read; trying again", "error", err)
	} else if changed {
		l.config.Log.Info("link: the medium can be read again")
	}
}

// chunk takes what the medium delivers.
func (l *Link) chunk(b []byte) {
	l.idle = false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = time.Now()
	l.bytes += uint64(len(b))
	if l.config.Synchronizer != nil {
		l.config.Synchronizer.Push(b, l.frame)
		return
	}
	l.frame(b)
}

func (l *Link) frame(b []byte) {
	data, result := l.opener.Open(l.now, b)
	switch result {
	case receive.Data:
		l.classes[data.Class].decoder.Add(l.now, &data.Header, data.Shard)
	case receive.Fresh, receive.Joined:
		l.begin(result == receive.Fresh)
	}
}

// begin starts over for a new session.
func (l *Link) begin(fresh bool) {
	for _, c := range l.classes {
		c.demux.Hole()
		c.decoder.Reset(fresh)
	}
	l.offset, l.late, l.beatAt = 0, 0, time.Time{}
	epoch, _, _ := l.opener.Sequence()
	for _, c := range l.channels {
		c.mirror.Begin(fresh)
		if a, ok := l.before.Channels[c.name]; ok && l.before.Epoch == epoch && a.Next > 0 {
			c.mirror.Continue(a, l.before.Exact)
		}
	}
	l.before = Account{}
	l.config.Log.Info("link: session opened", "epoch", epoch, "from_start", fresh)
}

// tick lets what will never arrive count as lost.
func (l *Link) tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	if l.idle && l.config.Synchronizer != nil {
		l.config.Synchronizer.Idle(l.frame)
	}
	for _, c := range l.classes {
		c.decoder.Tick(now, l.idle)
	}
}
