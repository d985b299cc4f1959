package linksim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/tx/send"
)

// run is a pair whose parts die in any order, with what outlives them.
type run struct {
	*Sim
	t        *testing.T
	rnd      *rand.Rand
	link     *linktest.Link
	in       *send.Channel
	out      *mirror.Channel
	epoch    uint64
	total    uint64  // as the transmitter last kept it
	kept     Account // as the receiver last kept it
	keptAt   time.Time
	put      uint64
	acked    map[uint64]bool // their source was informed that they were sent
	got      map[uint64]bool
	received uint64   // deliveries, repeated ones too
	waiting  []uint64 // of them, those that a sink keeps in memory
	what     string   // has happened
}

// keep is what a transmitter does before it says that records left.
func (r *run) keep() {
	for _, t := range r.TX.Mux.AppendTotals(nil) {
		r.total = t.Records
	}
}

func (r *run) startTX() {
	r.epoch++
	if err := r.StartTX(r.epoch); err != nil {
		r.t.Fatal(err)
	}
	r.in = r.TX.Mux.Channel(channel, wire.LowLatency)
	r.TX.Mux.Resume(r.in, r.total)
	r.TX.Mux.SetComplete(r.in, true)
}

func (r *run) startRX() {
	r.StartRX(AdmitAll{})
	r.out = r.RX.Channel(channel, func(u mirror.Update) {
		r.waiting = append(r.waiting, binary.BigEndian.Uint64(u.Payload))
		if r.rnd.IntN(8) == 0 {
			r.acceptAll()
		}
	})
	r.RX.Resume(r.kept)
}

// acceptAll has the sink's peer take what waits.
func (r *run) acceptAll() {
	r.received += uint64(len(r.waiting))
	for _, n := range r.waiting {
		r.got[n] = true
	}
	r.waiting = nil
}

// work puts events, half of which their source keeps until they have left.
func (r *run) work() {
	if r.rnd.IntN(4) > 0 {
		return
	}
	r.put++
	n := r.put
	e := send.Record{Payload: binary.BigEndian.AppendUint64(nil, n), Event: true}
	if n%2 == 0 {
		e.Left = func(err error) {
			if err == nil {
				r.acked[n] = true
			}
		}
	}
	if _, err := r.TX.Mux.Put(r.in, e); err != nil {
		r.t.Fatal(err)
	}
}

// each is called before every step: both ends keep what they are to keep.
func (r *run) each() {
	r.keep()
	if r.Now.Sub(r.keptAt) >= time.Second {
		r.keptAt = r.Now
		r.keepAccount(false)
	}
}

// keepAccount keeps the receiver's account; without a session it is as exact as it was.
func (r *run) keepAccount(exact bool) {
	r.kept = r.RX.Account()
	if _, _, ok := r.RX.Opener.Sequence(); ok {
		r.kept.Exact = exact
	}
	for id, c := range r.kept.Channels {
		c.Volatile = uint64(len(r.waiting))
		r.kept.Channels[id] = c
	}
}

// happen lets one thing happen to the pair.
func (r *run) happen() {
	switch r.rnd.IntN(5) {
	case 0:
		r.what += " cut"
		r.link.Set(linktest.Profile{Cut: true})
	case 1:
		r.what += " join"
		r.link.Set(linktest.Profile{Loss: 0.3 * r.rnd.Float64()})
	case 2:
		r.what += " TX killed"
		r.keep() // it does so before any acknowledgement
		r.startTX()
	case 3:
		r.what += " RX killed"
		r.waiting = nil
		r.startRX()
	case 4:
		r.what += " RX ended"
		r.acceptAll() // or its disk, for the next run
		r.keepAccount(true)
		r.startRX()
	}
}

// balanced checks what must hold at any time.
func (r *run) balanced() mirror.Status {
	s := r.out.Status()
	if sum := s.Delivered + s.Lost + s.Unknown + s.Conflated; sum != s.Sent {
		r.t.Fatalf("after%s: %d sent, but the terms sum to %d: %+v", r.what, s.Sent, sum, s)
	}
	return s
}

// TestAccountIsExactAfterCrashes cuts the link and kills either end in any
// order, and compares the account with what really became of every event.
func TestAccountIsExactAfterCrashes(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := &run{Sim: New(wire.DatagramProfile(1472, 66), 2e6), t: t, rnd: rand.New(rand.NewPCG(seed, 9)),
				acked: map[uint64]bool{}, got: map[uint64]bool{}}
			r.link = linktest.New(seed, linktest.Profile{})
			r.Impair = r.link.Datagram
			r.startTX()
			r.startRX()
			for range 12 {
				r.mustRun(t, time.Duration(r.rnd.IntN(1500))*time.Millisecond,
					func() { r.each(); r.work(); r.balanced() })
				r.happen()
			}
			r.link.Set(linktest.Profile{})
			r.what += " join"
			r.mustRun(t, 4*time.Second, r.each)
			r.acceptAll()
			s := r.balanced()
			absent := uint64(0)
			for n := range r.acked {
				if !r.got[n] {
					absent++
				}
			}
			if s.Sent < uint64(len(r.acked)) || s.Lost+s.Unknown < absent {
				t.Errorf("after%s: %d acknowledged, %d of them never arrived: got %+v", r.what, len(r.acked), absent, s)
			}
			if s.Delivered > r.received {
				t.Errorf("after%s: %d deliveries, got %+v", r.what, r.received, s)
			}
		})
	}
}
