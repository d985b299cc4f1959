package receive

import (
	"slices"
	"time"

	"heliograph/firmware/conduit/wire"
)

// Anchor decides which epochs are accepted; it remembers across restarts.
type Anchor interface {
	// Admit is asked about an authentic session. It returns the sequence number
	// up to which frames must be refused, because they may have been used
	// before, or an error when the session is refused.
	Admit(epoch uint64, salt [16]byte) (used uint64, err error)
}

// Opener opens the frames of a pair's sessions. Not safe for concurrent use.
type Opener struct {
	keys     []wire.PairKey // two while the key is changed
	anchor   Anchor
	session  *wire.Session
	key      wire.PairKey // of session
	received time.Time    // the session's last frame
	seen     window
	limiter  helloLimiter
	sequence sequence
	counts   Counts

	newSession func(wire.PairKey, uint64, [16]byte) (*wire.Session, error) // wire.NewSession
}

// NewOpener returns an opener that has no session yet.
func NewOpener(key wire.PairKey, anchor Anchor) *Opener {
	return &Opener{keys: []wire.PairKey{key}, anchor: anchor, newSession: wire.NewSession}
}

// SetKeys sets the keys with which sessions are opened from now on. The present
// session ends if its key is not among them.
func (o *Opener) SetKeys(keys ...wire.PairKey) {
	o.keys = slices.Clone(keys)
	if o.session != nil && !slices.Contains(keys, o.key) {
		o.session = nil
	}
}

// Key returns the key of the present session; ok is false without one.
func (o *Opener) Key() (key wire.PairKey, ok bool) { return o.key, o.session != nil }

// Opened is an authentic data frame.
type Opened struct {
	wire.Header
	Shard []byte // part of the frame
}

// Result is what became of a frame.
type Result uint8

// The results of Open.
const (
	Rejected Result = iota // counted
	Data
	Fresh  // a hello that opened a new session
	Joined // … whose beginning this receiver missed
	Known  // a hello of the present session
)

// Open checks and decrypts one frame, which arrived at now, in place.
func (o *Opener) Open(now time.Time, frame []byte) (Opened, Result) {
	kind, err := wire.KindOf(frame)
	if err != nil || !wire.CheckCRC(frame) {
		o.counts.Noise++
		return Opened{}, Rejected
	}
	if kind == wire.Hello {
		return Opened{}, o.hello(now, frame)
	}
	var h wire.Header
	h.Parse(frame)
	if o.session == nil || h.Session != o.session.ID {
		o.counts.NoSession++
		return Opened{}, Rejected
	}
	seq := o.seen.full(h.Sequence)
	shard, ok := o.session.Open(frame, wire.HeaderSize, seq)
	if !ok {
		o.counts.AuthFailed++
		return Opened{}, Rejected
	}
	if !o.seen.accept(seq) {
		o.counts.Replayed++
		return Opened{}, Rejected
	}
	o.sequence.add(seq)
	o.received = now
	o.counts.Frames++
	return Opened{Header: h, Shard: shard}, Data
}

// startOfSession bounds the sequence number of a hello before which nothing but
// hellos can have been sent.
const startOfSession = 8

func (o *Opener) hello(now time.Time, frame []byte) Result {
	var h wire.HelloHeader
	h.Parse(frame)
	session, key := o.session, o.key
	known := session != nil && h.Epoch == session.Epoch && h.Salt == session.Salt
	if !known {
		if o.session != nil && now.Sub(o.received) < sessionSilence && !o.limiter.allow(now) {
			o.counts.Unchecked++
			return Rejected
		}
		session, key = o.derive(&h)
	}
	if session == nil || h.Session != session.ID {
		o.counts.AuthFailed++
		return Rejected
	}
	if _, ok := session.Open(frame, wire.HelloHeaderSize, h.Sequence); !ok {
		o.counts.AuthFailed++
		return Rejected
	}
	if known {
		if !o.seen.accept(h.Sequence) {
			o.counts.Replayed++
			return Rejected
		}
		o.sequence.add(h.Sequence)
		o.received = now
		o.counts.Frames++
		return Known
	}
	used, err := o.anchor.Admit(h.Epoch, h.Salt)
	if err != nil {
		o.counts.Refused++
		return Rejected
	}
	if used >= h.Sequence {
		o.counts.Replayed++
		return Rejected
	}
	o.session, o.key, o.received = session, key, now
	o.seen = window{floor: used, highest: used}
	o.seen.accept(h.Sequence)
	o.sequence.begin(h.Sequence)
	o.counts.Frames++
	if h.Sequence <= startOfSession {
		return Fresh
	}
	return Joined
}

// derive returns the session that a hello opens: that of the key from which its
// number follows; nil for none.
func (o *Opener) derive(h *wire.HelloHeader) (*wire.Session, wire.PairKey) {
	for _, key := range o.keys {
		if s, err := o.newSession(key, h.Epoch, h.Salt); err == nil && s.ID == h.Session {
			return s, key
		}
	}
	return nil, wire.PairKey{}
}

// Sequence returns the epoch of the session and the highest sequence number
// accepted, for the anchor to remember. ok is false while there is no session.
func (o *Opener) Sequence() (epoch, highest uint64, ok bool) {
	if o.session == nil {
		return 0, 0, false
	}
	return o.session.Epoch, o.seen.highest, true
}

// Counts returns what the opener counted.
func (o *Opener) Counts() Counts { return o.counts }
