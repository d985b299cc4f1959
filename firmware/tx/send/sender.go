package send

import (
	"encoding/binary"
	"fmt"
	"time"

	"heliograph/firmware/conduit/wire"
)

// Our own choices about hellos. A receiver can open nothing before it has one,
// so a session begins with several, apart enough to outlive a burst of loss,
// and nothing else is sent first.
const (
	helloEvery  = 250 * time.Millisecond
	firstHellos = 8
	firstEvery  = 2 * time.Millisecond
)

// Sender makes frames out of what a mux has to send. Not safe for concurrent
// use.
type Sender struct {
	mux      *Mux
	profile  wire.Profile
	session  *wire.Session
	sequence uint64
	coders   [wire.Classes]*coder
	helloAt  time.Time
	batch    [][]byte
	buffers  [][]byte // of frames
	shards   buffers
	lefts    []func(error)
	finished []finished // in the batch
	counts   FrameCounts

	full      int // bytes waiting from which on the line is saturated
	saturated bool
	atOnce    int // frames of replay that an idle line may be given
}

// finished is a generation whose last parity frame was made.
type finished struct {
	coder      *coder
	generation *generation
}

// FrameCounts counts frames made since the start; the tags are those of package
// counter.
type FrameCounts struct {
	Source uint64 `count:"source_frames" help:"Frames made that carry records."`
	Parity uint64 `count:"parity_frames" help:"Frames made that repair others."`
	Hello  uint64 `count:"hello_frames" help:"Frames made that open the session."`
	Replay uint64 `count:"replay_frames" help:"Frames made that carry again what has left, and repair such frames."`
	Bytes  uint64 `shown:"link.bytes"` // on the medium
}

// saturation is how long the line must be behind for parity to fall back to its
// floor. Less than that is a burst, and spare capacity pays.
const saturation = 50 * time.Millisecond

// shortFrame is how long a frame may take for two of replay to go at once on a line that
// is idle: the loop comes around every millisecond, and one would leave most of a fast
// line unused.
const shortFrame = 250 * time.Microsecond

// NewSender returns a sender for one session on a line that takes rate bytes
// per second. overhead is the floor of parity ÷ source frames.
func NewSender(mux *Mux, profile wire.Profile, rate, overhead float64, session *wire.Session) *Sender {
	s := &Sender{
		mux: mux, profile: profile, session: session,
		full: int(rate * saturation.Seconds()), shards: buffers{size: profile.MaxFrame()},
	}
	s.atOnce = 1
	if float64(profile.MaxFrame()+profile.WireOverhead)/rate < shortFrame.Seconds() {
		s.atOnce = 2
	}
	table := wire.ParityTable(profile.DesignLoss)
	for i := range s.coders {
		s.coders[i] = newCoder(profile.Classes[i], &table, overhead, &s.shards)
	}
	return s
}

// Frames makes frames until they are worth budget bytes on the medium, or
// until there is nothing to send. On a line that is idle the first may be replay's, on a
// fast one the second too: so much a live record waits for replay, but for frames in the
// carousel's turns. The frames are valid until the next call; cost is what they are worth.
func (s *Sender) Frames(now time.Time, budget int, idle bool) (frames [][]byte, cost int, err error) {
	s.batch = s.batch[:0]
	s.saturated = s.mux.Backlog() > s.full
	replayed := s.counts.Replay
	for cost < budget {
		n := int(s.counts.Replay - replayed)
		frame, err := s.frame(now, idle && n == len(s.batch) && n < s.atOnce)
		if err != nil {
			return nil, 0, err
		}
		if frame == nil {
			break
		}
		s.batch = append(s.batch, frame)
		cost += len(frame) + s.profile.WireOverhead
	}
	s.counts.Bytes += uint64(cost)
	return s.batch, cost, nil
}

// Acknowledging reports whether Sent will call the Left of a record.
func (s *Sender) Acknowledging() bool {
	for _, f := range s.finished {
		if len(f.generation.lefts) > 0 {
			return true
		}
	}
	return false
}

// Sent says that all frames of the last call have left, and calls the Left of
// every record that is complete on the wire with them, parity included.
func (s *Sender) Sent() {
	for _, f := range s.finished {
		for _, left := range f.generation.lefts {
			left(nil)
		}
		f.coder.recycle(f.generation)
	}
	s.finished = s.finished[:0]
}

// Abandon calls the Left of every record that has not left yet with err. The
// sender is of no use afterwards.
func (s *Sender) Abandon(err error) {
	var open []*generation
	for _, f := range s.finished {
		open = append(open, f.generation)
	}
	for _, c := range s.coders {
		open = append(open, c.open)
		if c.closing != nil {
			open = append(open, c.closing)
		}
	}
	for _, g := range open {
		for _, left := range g.lefts {
			left(err)
		}
	}
}

// Open reports whether records have left whose parity has not.
func (s *Sender) Open() bool {
	for _, c := range s.coders {
		if len(c.open.lefts) > 0 || (c.closing != nil && len(c.closing.lefts) > 0) {
			return true
		}
	}
	return false
}

// Counts returns the counters.
func (s *Sender) Counts() FrameCounts { return s.counts }

// Wake returns when Frames will have something to send even if nothing is Put and the
// line is never idle.
func (s *Sender) Wake() time.Time {
	at := s.mux.Wake()
	if s.helloAt.Before(at) {
		at = s.helloAt
	}
	for _, c := range s.coders[:wire.Replay] {
		for _, t := range []time.Time{c.due(s.saturated), c.parityDue()} {
			if !t.IsZero() && t.Before(at) {
				at = t
			}
		}
	}
	return at
}

// ReplayWake returns when Frames will have something to send again, if it may; zero:
// never.
func (s *Sender) ReplayWake() time.Time {
	at, c := s.mux.ReplayWake(), s.coders[wire.Replay]
	for _, t := range []time.Time{c.due(false), c.parityDue()} {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	return at
}

// frame makes the next frame, or nil: the hello, parity that is due, sources, what
// has left before if it may be sent again now, in this order.
func (s *Sender) frame(now time.Time, idle bool) ([]byte, error) {
	if !now.Before(s.helloAt) {
		s.helloAt = now.Add(helloEvery)
		if s.counts.Hello < firstHellos {
			s.helloAt = now.Add(firstEvery)
		}
		return s.hello(), nil
	}
	if s.counts.Hello < firstHellos {
		return nil, nil
	}
	for class, c := range s.coders[:wire.Replay] {
		due := c.due(s.saturated)
		wanted := c.full() || (!due.IsZero() && !now.Before(due))
		if c.closing != nil && (wanted || !now.Before(c.parityDue())) {
			return s.parity(wire.Class(class), c)
		}
		if wanted {
			c.close(now, s.saturated)
			return s.parity(wire.Class(class), c)
		}
	}
	return s.source(now, idle)
}

// replay returns what the replay class may send next.
func (s *Sender) replay(now time.Time, idle bool) ReplayTurn {
	c := s.coders[wire.Replay]
	due := c.due(false)
	parity := c.closing != nil || c.full() || !due.IsZero() && !now.Before(due)
	return ReplayTurn{Idle: idle, Parity: parity}
}

func (s *Sender) source(now time.Time, idle bool) ([]byte, error) {
	turn := s.replay(now, idle)
	fill, ok := s.mux.Fill(now, s.shards.get(), s.lefts[:0], turn)
	s.lefts = fill.Lefts
	switch {
	case !ok:
		s.shards.put(fill.Payload)
		return nil, nil
	case turn.Parity && fill.Class == wire.Replay:
		s.shards.put(fill.Payload)
		return s.replayParity(now)
	}
	g, index := s.coders[fill.Class].add(now, fill.Payload, fill.Lefts)
	h := wire.Header{Kind: wire.Source, Class: fill.Class, Lanes: 1, Generation: g, Index: index}
	frame := append(s.begin(&h), fill.Payload...)
	if fill.Class == wire.Replay {
		s.counts.Replay++
	} else {
		s.counts.Source++
	}
	return s.seal(frame, wire.HeaderSize), nil
}

// replayParity returns the next parity frame of the replay class. It has no more than the
// floor: what stays lost comes again with the next pass.
func (s *Sender) replayParity(now time.Time) ([]byte, error) {
	c := s.coders[wire.Replay]
	if c.closing == nil {
		c.close(now, true)
	}
	return s.parity(wire.Replay, c)
}

func (s *Sender) parity(class wire.Class, c *coder) ([]byte, error) {
	f, err := c.nextParity(class)
	if err != nil {
		return nil, err
	}
	if f.done != nil {
		s.finished = append(s.finished, finished{c, f.done})
	}
	frame := binary.BigEndian.AppendUint16(s.begin(&f.header), uint16(f.sources))
	frame = append(frame, f.coded...)
	if class == wire.Replay {
		s.counts.Replay++
	} else {
		s.counts.Parity++
	}
	return s.seal(frame, wire.HeaderSize), nil
}

func (s *Sender) hello() []byte {
	s.sequence++
	h := wire.HelloHeader{Session: s.session.ID, Epoch: s.session.Epoch, Sequence: s.sequence, Salt: s.session.Salt}
	frame := s.buffer()[:wire.HelloHeaderSize]
	h.Put(frame)
	s.counts.Hello++
	return s.sealAs(frame, wire.HelloHeaderSize, s.helloFill())
}

// helloFill is how many zeros fill a hello up to a size that the medium carries.
func (s *Sender) helloFill() int {
	body := wire.MinHello - wire.Overhead
	return s.profile.Fit(body) - body
}

func (s *Sender) begin(h *wire.Header) []byte {
	s.sequence++
	h.Session, h.Sequence = s.session.ID, uint32(s.sequence)
	frame := s.buffer()[:wire.HeaderSize]
	h.Put(frame)
	return frame
}

func (s *Sender) seal(frame []byte, head int) []byte {
	shard := len(frame) - head
	return s.sealAs(frame, head, s.profile.Fit(shard)-shard)
}

// sealAs fills the frame up with zeros and seals it.
func (s *Sender) sealAs(frame []byte, head, fill int) []byte {
	n := len(frame)
	frame = frame[:n+fill]
	clear(frame[n:])
	return s.session.Seal(frame, head, s.sequence)
}

// buffer returns the batch's next frame buffer.
func (s *Sender) buffer() []byte {
	if i := len(s.batch); i < len(s.buffers) {
		return s.buffers[i]
	}
	b := make([]byte, s.profile.MaxFrame())
	s.buffers = append(s.buffers, b)
	return b
}

// String names the session in logs.
func (s *Sender) String() string {
	return fmt.Sprintf("epoch %d session %04x", s.session.Epoch, s.session.ID)
}
