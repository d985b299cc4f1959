// Package linksim joins both ends of the link in memory, on a simulated clock,
// so that tests see the whole wire without sockets, sleeps or luck.
//
// It stands in ci because it is the one place, besides the programs themselves,
// that imports both sides of the wall.
package linksim

import (
	"fmt"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/receive"
	"heliograph/firmware/tx/replay"
	"heliograph/firmware/tx/send"
)

// Sim is a pair of boards and the link between them.
type Sim struct {
	Now     time.Time
	Profile wire.Profile
	Rate    float64 // bytes per second
	// Overhead is the floor of parity ÷ sources, Share the carousel's.
	Overhead, Share float64
	// Memory is what each transmitter keeps to send it again, in bytes; 0: nothing.
	Memory int
	// Impair is what the link does to a frame; nil: nothing.
	Impair func(frame []byte, deliver func([]byte))
	TX     *TX
	RX     *RX
	Frames int // that entered the link
}

// TX is the plant's side.
type TX struct {
	Mux    *send.Mux
	Sender *send.Sender
	Replay *replay.Window // nil: nothing is kept
	pacer  *send.Pacer
}

// RX is IT's side.
type RX struct {
	Opener   *receive.Opener
	Counts   receive.Counts
	Channels map[uint16]*mirror.Channel
	decoders [wire.Classes]*receive.Decoder
	demuxes  [wire.Classes]*receive.Demux
	before   Account // of the run before, until the first session opens
}

// Account is what a receiver hands on to the next.
type Account struct {
	Epoch    uint64
	Exact    bool
	Channels map[uint16]mirror.Account
}

// Account returns the account as it stands. Exact is the caller's to set.
func (r *RX) Account() Account {
	a := Account{Channels: map[uint16]mirror.Account{}}
	a.Epoch, _, _ = r.Opener.Sequence()
	for id, c := range r.Channels {
		a.Channels[id] = c.Account(0, 1<<16)
	}
	return a
}

// Resume takes over the account of the run before, once the channels were added.
func (r *RX) Resume(a Account) {
	r.before = a
	for id, c := range r.Channels {
		c.Resume(a.Channels[id], a.Exact)
	}
}

// Key is the pair key of every simulation.
var Key = wire.PairKey{1, 2, 3}

// New returns a pair whose receiver is up and whose transmitter is not.
func New(profile wire.Profile, rate float64) *Sim {
	return &Sim{Now: time.Unix(1_700_000_000, 0), Profile: profile, Rate: rate, Overhead: 0.25, Share: 0.1}
}

// StartTX restarts the transmitter in the given epoch.
func (s *Sim) StartTX(epoch uint64) error {
	session, err := wire.NewSession(Key, epoch, [16]byte{byte(epoch), 7})
	if err != nil {
		return fmt.Errorf("linksim: %v", err)
	}
	var window *replay.Window
	if s.Memory > 0 {
		window, err = replay.New(replay.Config{Epoch: epoch, Limit: s.Memory, Start: s.Now})
		if err != nil {
			return fmt.Errorf("linksim: %v", err)
		}
	}
	mux := send.NewMux(send.MuxConfig{
		Room: s.Profile.Payload(), CarouselShare: s.Share, Start: s.Now, Replay: window,
	})
	s.TX = &TX{Mux: mux, Replay: window, Sender: send.NewSender(mux, s.Profile, s.Rate, s.Overhead, session),
		pacer: send.NewPacer(s.Rate, 0)}
	return nil
}

// StartRX restarts the receiver.
func (s *Sim) StartRX(anchor receive.Anchor) {
	r := &RX{Opener: receive.NewOpener(Key, anchor), Channels: map[uint16]*mirror.Channel{}}
	for i := range r.decoders {
		r.demuxes[i] = receive.NewDemux(&r.Counts, r.record)
		r.decoders[i] = receive.NewDecoder(&r.Counts, r.demuxes[i].Payload, r.demuxes[i].Hole)
	}
	s.RX = r
}

// Channel adds a channel to the receiver.
func (r *RX) Channel(name string, deliver func(mirror.Update)) *mirror.Channel {
	c := mirror.New(deliver)
	r.Channels[record.ChannelID(name)] = c
	return c
}

// Run lets simulated time pass in steps of at most 250 µs, calling each before
// every step.
func (s *Sim) Run(d time.Duration, each func()) error {
	for end := s.Now.Add(d); s.Now.Before(end); s.Now = s.Now.Add(250 * time.Microsecond) {
		if each != nil {
			each()
		}
		if s.TX == nil {
			continue
		}
		if err := s.step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sim) step() error {
	arrived := false
	for {
		budget := s.TX.pacer.Budget(s.Now, 250*time.Microsecond)
		ahead := max(int(s.Rate*(250*time.Microsecond).Seconds()), s.TX.Sender.Largest())
		frames, cost, err := s.TX.Sender.Frames(s.Now, budget, s.TX.pacer.Spare(s.Now, ahead))
		if err != nil {
			return fmt.Errorf("linksim: %v", err)
		}
		if len(frames) == 0 {
			break
		}
		s.TX.pacer.Spend(s.Now, cost)
		for _, f := range frames {
			s.Frames++
			s.pass(f, func(b []byte) { arrived = true; s.RX.Frame(s.Now, b) })
		}
		s.TX.Sender.Sent()
	}
	if s.RX != nil {
		for _, d := range s.RX.decoders {
			d.Tick(s.Now, !arrived)
		}
	}
	return nil
}

func (s *Sim) pass(frame []byte, deliver func([]byte)) {
	if s.RX == nil {
		return
	}
	if s.Impair == nil {
		deliver(frame)
		return
	}
	s.Impair(frame, deliver)
}

// Frame takes one frame off the link.
func (r *RX) Frame(now time.Time, b []byte) {
	data, result := r.Opener.Open(now, b)
	switch result {
	case receive.Data:
		r.decoders[data.Class].Add(now, &data.Header, data.Shard)
	case receive.Fresh, receive.Joined:
		for i := range r.decoders {
			r.demuxes[i].Hole()
			r.decoders[i].Reset(result == receive.Fresh)
		}
		epoch, _, _ := r.Opener.Sequence()
		for id, c := range r.Channels {
			c.Begin(epoch, result == receive.Fresh)
			if a, ok := r.before.Channels[id]; ok && r.before.Epoch == epoch && a.Next > 0 {
				c.Continue(a, r.before.Exact)
			}
		}
		r.before = Account{}
	}
}

func (r *RX) record(kind record.Kind, body []byte) {
	var u record.Update
	var b record.Batch
	var p record.Page
	var m record.Manifest
	var t record.Totals
	switch {
	case kind == record.KindUpdate && u.Parse(body) == nil:
		r.Channels[u.Channel].Update(&u)
	case kind == record.KindBatch && b.Parse(body) == nil:
		_ = r.Channels[b.Channel].Batch(&b) // a malformed change would show as lost
	case kind == record.KindPage && p.Parse(body) == nil:
		_ = r.Channels[p.Channel].Page(&p) // a malformed page would show as missing keys
	case kind == record.KindManifest && m.Parse(body) == nil:
		r.Channels[m.Channel].Manifest(&m)
	case kind == record.KindTotals && t.Parse(body) == nil:
		r.Channels[t.Channel].Totals(&t)
	}
}

// AdmitAll is an anchor that accepts every epoch.
type AdmitAll struct{}

// Admit implements receive.Anchor.
func (AdmitAll) Admit(uint64, [16]byte) (uint64, error) { return 0, nil }
