// Package pipeline is the loop that moves frames from the medium to the sinks.
//
// One value's way on IT's side:
//
//	drivers/…     arrives
//	pipeline.go   a UART's bytes become frames (conduit/codeword)
//	rx/receive    is opened, repaired, put in order, becomes a record
//	record.go     finds its channel
//	rx/mirror     is accounted for, and becomes the newest state
//	heal.go       … or, when it was missed, fills a hole later
//	rx/sink/…     is delivered
//
// channel.go is a channel as its sink has it; heartbeat.go, measurement.go, status.go,
// account.go and counters.go are what an operator and the next run have of the link.
//
// The loop owns the only goroutine between the medium and the sinks. It never
// waits for a sink, and it has no way to send on the link.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/platform/cause"
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

// Config is what a link is made of.
type Config struct {
	Key        wire.PairKey
	Anchor     receive.Anchor
	StaleAfter time.Duration
	Budget     *mirror.Budget // of the channels' state; nil: no bound
	// Synchronizer turns a medium's bytes into frames, where it has no frames
	// of its own; deliver is called during both. Idle is called when the line is silent.
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
	log     *slog.Logger
	opener  *receive.Opener
	classes [wire.Classes]class
	decoded receive.Counts // by decoders and demuxes
	idle    bool           // nothing arrived for idleAfter

	steps atomic.Uint64 // runs of the loop, also while nothing arrives
	ahead atomic.Int64  // heartbeats.ahead

	mu         sync.RWMutex // guards all below; held while frames are worked on
	channels   map[uint16]*Channel
	names      []string
	room       mirror.Room // for pages that wait to fill holes
	healing    healing
	watchedAt  time.Time
	err        error
	heartbeats heartbeats
	delays     Delays
	bytes      uint64
	counts     Counts
	now        time.Time
	// failedAtBeat is how many frames had failed their authentication by the last heartbeat.
	failedAtBeat uint64
	failed       uint64    // how many had by now
	failedAt     time.Time // when the last one had
	before       Account   // of the run before; once a session has opened its epoch alone
}

type class struct {
	decoder *receive.Decoder
	demux   *receive.Demux
}

// Our own choices.
const (
	idleAfter = 50 * time.Millisecond  // without a byte, the line is idle
	retry     = 200 * time.Millisecond // of a medium that cannot be read
	forgedFor = 10 * time.Second       // after the last frame of another key, none of it arrives
)

// New returns a link that is not running yet.
func New(c Config, medium Receiver) *Link {
	c.base = time.Now()
	l := &Link{
		config: c, medium: medium, log: c.Log.With("component", "link"),
		opener: receive.NewOpener(c.Key, c.Anchor), channels: map[uint16]*Channel{},
	}
	l.room.Limit = maxWaiting
	for i := range l.classes {
		demux := receive.NewDemux(&l.decoded, l.handleRecord)
		payload, hole := demux.Payload, demux.Hole
		if wire.Class(i) == wire.Replay {
			payload = l.noticing(payload)
			hole = func() { demux.Hole(); l.missReplay() }
		}
		l.classes[i] = class{demux: demux, decoder: receive.NewDecoder(&l.decoded, payload, hole)}
	}
	return l
}

// String names the task.
func (l *Link) String() string { return "link" }

// Steps returns how often the link's loop ran: several times a second, unless it is
// stuck.
func (l *Link) Steps() uint64 { return l.steps.Load() }

// Ready returns why the link does not deliver, if it does not.
func (l *Link) Ready() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch age := l.silence(); {
	case l.err != nil:
		return cause.Link(fmt.Errorf("link: %w", l.err))
	case age <= l.config.StaleAfter && !l.heartbeats.at.IsZero():
		return nil
	case l.forged() > 0 && time.Since(l.failedAt) < forgedFor:
		return cause.New(cause.KeyMismatch, fmt.Errorf("link: frames arrive that this pair key does not open: "+
			"compare the pair keys of both sides (auth_failure, %d frames)", l.forged()))
	case l.heartbeats.at.IsZero():
		return cause.New(cause.Silent, errors.New("link: nothing received from the transmitter yet"+l.earlier()))
	default:
		return cause.New(cause.Silent, fmt.Errorf("link: silent for %s%s", age.Round(time.Second), l.earlier()))
	}
}

// earlier tells of forged frames that have stopped.
func (l *Link) earlier() string {
	if n := l.forged(); n > 0 {
		return fmt.Sprintf("; frames before were not of this pair key (auth_failure, %d frames)", n)
	}
	return ""
}

// forged returns how many frames since the last heartbeat were not authentic: of another
// pair key, or somebody's.
func (l *Link) forged() uint64 { return l.opener.Counts().AuthFailed - l.failedAtBeat }

// stale reports whether the link is silent, or delays, for longer than StaleAfter.
func (l *Link) stale() bool { return l.heartbeats.at.IsZero() || l.silence() > l.config.StaleAfter }

// silence is the age of the last heartbeat, its delay on the link included; before
// the first, how long this end has been receiving.
func (l *Link) silence() time.Duration {
	if l.heartbeats.at.IsZero() {
		return time.Since(l.config.base)
	}
	return time.Since(l.heartbeats.at) + l.heartbeats.late
}

// Run receives until ctx ends.
func (l *Link) Run(ctx context.Context) error {
	defer func() {
		if err := l.medium.Close(); err != nil {
			l.log.Warn("medium not closed", "error", err)
		}
	}()
	for ctx.Err() == nil {
		l.steps.Add(1)
		wait := l.receiveTime()
		l.idle = wait == idleAfter
		err := l.medium.Receive(wait, l.handleChunk)
		l.setMediumState(err)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
		}
		l.heal()
		l.tick(time.Now())
	}
	return nil
}

// dropped returns what the kernel has dropped, where the medium counts that.
func (l *Link) dropped() uint64 {
	if m, ok := l.medium.(interface{ Dropped() uint64 }); ok {
		return m.Dropped()
	}
	return 0
}

// setMediumState keeps why the medium cannot be read, and logs when that changes.
func (l *Link) setMediumState(err error) {
	l.mu.Lock()
	changed := (err == nil) != (l.err == nil)
	l.err = err
	l.mu.Unlock()
	switch {
	case changed && err != nil:
		l.log.Warn("medium cannot be read", "state", "down", "error", err, "retry", retry.String())
	case changed:
		l.log.Info("medium can be read again", "state", "up")
	}
}

// handleChunk handles what the medium delivers: a frame, or a run of bytes.
func (l *Link) handleChunk(b []byte) {
	l.idle = false
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = time.Now()
	l.bytes += uint64(len(b))
	if l.config.Synchronizer != nil {
		l.config.Synchronizer.Push(b, l.handleFrame)
		return
	}
	l.handleFrame(b)
}

func (l *Link) handleFrame(b []byte) {
	data, result := l.opener.Open(l.now, b)
	switch result {
	case receive.Data:
		l.classes[data.Class].decoder.Add(l.now, &data.Header, data.Shard)
	case receive.Fresh, receive.Joined:
		l.beginSession(result == receive.Fresh)
	case receive.Rejected:
		if n := l.opener.Counts().AuthFailed; n != l.failed {
			l.failed, l.failedAt = n, l.now
		}
	}
}

// beginSession begins a new session; fresh is true when it is known from its first frame.
func (l *Link) beginSession(fresh bool) {
	for _, c := range l.classes {
		c.demux.Hole()
		c.decoder.Reset(fresh)
	}
	l.heartbeats.restart()
	epoch, _, _ := l.opener.Sequence()
	for _, c := range l.channels {
		c.mirror.At(l.now.UnixNano())
		c.mirror.Begin(epoch, fresh)
		if a, ok := l.before.Channels[c.name]; ok && l.before.Epoch == epoch && a.Next > 0 {
			c.mirror.Continue(a, l.before.Exact)
		}
	}
	l.before = Account{Epoch: epoch}
	l.log.Info("session opened", "epoch", epoch, "from_start", fresh)
}

// tick lets what will never arrive count as lost.
func (l *Link) tick(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
	l.watchHoles(now)
	if l.idle && l.config.Synchronizer != nil {
		l.config.Synchronizer.Idle(l.handleFrame)
	}
	for _, c := range l.classes {
		c.decoder.Tick(now, l.idle)
	}
}
