package pipeline

import (
	"slices"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/receive"
)

// Status is what an operator sees of the link and its channels.
type Status struct {
	Epoch        uint64
	Open         bool // a session is open
	Frames       receive.Counts
	HeartbeatAge time.Duration // −1 before the first
	Delay        time.Duration // of the last heartbeat, beyond the quickest one of late
	Bytes        uint64        // received, noise included
	Dropped      uint64        // by the kernel, because this program was too slow
	ClockSet     bool
	// to be added to this machine's clock for the transmitter's, but for the link's least delay
	Clock      time.Duration
	ClockBeats uint64 // heartbeats with a time of day so far
	Unknown    uint64 // records of channels that are not configured here
	Err        error
	Channels   []ChannelStatus
	Measured   Measurement
}

// ChannelStatus is what an operator sees of a channel.
type ChannelStatus struct {
	Name string
	mirror.Status
	Age    time.Duration // since the last record of the channel; −1 before the first
	Holes  []holes.Hole  // oldest first
	Open   uint64        // records of those that are not final
	Replay *Replay       // nil: the transmitter sends nothing again, or has not said so yet
}

// Replay is what the transmitter says of its window.
type Replay struct {
	Reach time.Duration // since the oldest record in it left
	Pass  time.Duration // that the last pass over it took; 0: none has ended yet
}

// Status returns a snapshot.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	s := Status{
		Frames: l.frames(), HeartbeatAge: age(now, l.heartbeats.at), Delay: l.heartbeats.late, Bytes: l.bytes,
		Dropped: l.dropped(), ClockSet: l.heartbeats.last.ClockSet, Clock: l.heartbeats.clock,
		ClockBeats: l.heartbeats.clocks,
		Unknown:    l.counts.Unknown, Err: l.err, Measured: l.measurement(),
	}
	s.Epoch, _, s.Open = l.opener.Sequence()
	for _, name := range l.names {
		c := l.channels[record.ChannelID(name)]
		c.settle()
		st := ChannelStatus{
			Name: name, Status: c.mirror.Status(), Age: age(now, c.receivedAt), Holes: c.mirror.Holes(),
			Open: c.mirror.Open(),
		}
		if w, ok := c.mirror.Reach(); ok {
			st.Replay = &Replay{Reach: seconds(w.Reach), Pass: time.Duration(min(w.Pass, maxMillis)) * time.Millisecond}
		}
		s.Channels = append(s.Channels, st)
	}
	return s
}

// TransmitterTime returns what the transmitter's clock shows, set or not, by its last heartbeat;
// before the first one, this machine's time. It takes no lock.
func (l *Link) TransmitterTime() time.Time { return time.Now().Add(time.Duration(l.ahead.Load())) }

// Delays returns how much later than the quickest one of late each of the newest
// heartbeats came, of a session that is open: those of about two minutes.
func (l *Link) Delays() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.heartbeats.delays)
}

// Our own bound of what a transmitter states, in ms.
const maxMillis = 1 << 43

func seconds(n uint64) time.Duration { return time.Duration(min(n, maxMillis/1000)) * time.Second }

// age is the time since then, −1 when that is zero.
func age(now, then time.Time) time.Duration {
	if then.IsZero() {
		return -1
	}
	return now.Sub(then)
}
