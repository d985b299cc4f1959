package linksim

import (
	"fmt"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/receive"
)

// RX is IT's side.
type RX struct {
	Opener   *receive.Opener
	Counts   receive.Counts
	Channels map[uint16]*mirror.Channel
	order    []uint16 // of the channels, as they were added
	decoders [wire.Classes]*receive.Decoder
	demuxes  [wire.Classes]*receive.Demux
	LastBeat time.Time // when the last heartbeat came
	now      time.Time
	room     mirror.Room // for pages that wait to fill holes
	reader   record.ReplayReader
	turn     int     // whose page is worked on
	before   Account // of the run before; once a session has opened its epoch alone
}

// Account is what a receiver hands on to the next.
type Account struct {
	Epoch    uint64
	Exact    bool
	Channels map[uint16]mirror.Account
}

// Account returns the account as it stands: before the first session that of the run before
// goes on. With a session Exact is the caller's to set, at the end.
func (r *RX) Account() Account {
	a := Account{Epoch: r.before.Epoch, Exact: r.before.Exact, Channels: map[uint16]mirror.Account{}}
	for id, c := range r.Channels {
		a.Channels[id] = c.Account(0, 1<<16)
	}
	return a
}

// Resume takes over the account of the run before, once the channels were added.
func (r *RX) Resume(a Account) {
	r.before = a
	for _, id := range r.order {
		r.Channels[id].Resume(a.Channels[id], a.Exact)
	}
}

// StartRX restarts the receiver.
func (s *Sim) StartRX(anchor receive.Anchor) {
	r := &RX{Opener: receive.NewOpener(Key, anchor), Channels: map[uint16]*mirror.Channel{}}
	r.room.Limit = 4 << 20
	for i := range r.decoders {
		r.demuxes[i] = receive.NewDemux(&r.Counts, r.record)
		payload, hole := r.demuxes[i].Payload, r.demuxes[i].Hole
		if wire.Class(i) == wire.Replay {
			payload, hole = r.replayPayload, r.replayHole
		}
		r.decoders[i] = receive.NewDecoder(&r.Counts, payload, hole)
	}
	s.RX = r
}

// replayPayload passes a payload of the replay class on, and notices what of it cannot
// be decoded.
func (r *RX) replayPayload(b []byte) {
	malformed, skipped := r.Counts.Malformed, r.Counts.Skipped
	if r.demuxes[wire.Replay].Payload(b); r.Counts.Malformed != malformed || r.Counts.Skipped != skipped {
		r.missReplay()
	}
}

// replayHole notes that frames of the replay class stayed lost.
func (r *RX) replayHole() {
	r.demuxes[wire.Replay].Hole()
	r.missReplay()
}

func (r *RX) missReplay() {
	for _, c := range r.Channels {
		c.MissReplay()
	}
}

// Channel adds a channel to the receiver.
func (r *RX) Channel(name string, deliver func(mirror.Update)) *mirror.Channel {
	c := mirror.New(deliver)
	c.ShareRoom(&r.room)
	id := record.ChannelID(name)
	r.Channels[id] = c
	r.order = append(r.order, id)
	return c
}

// Frame takes one frame off the link.
func (r *RX) Frame(now time.Time, b []byte) {
	r.now = now
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
		for _, id := range r.order {
			c := r.Channels[id]
			c.At(now.UnixNano())
			c.Begin(epoch, result == receive.Fresh)
			if a, ok := r.before.Channels[id]; ok && r.before.Epoch == epoch && a.Next > 0 {
				c.Continue(a, r.before.Exact)
			}
		}
		r.before = Account{Epoch: epoch}
	}
}

func (r *RX) record(kind record.Kind, body []byte) {
	var u record.Update
	var b record.Batch
	var p record.Page
	var m record.Manifest
	var t record.Totals
	var again record.Replay
	var w record.Window
	switch {
	case kind == record.KindHeartbeat:
		r.LastBeat = r.now
	case kind == record.KindUpdate && u.Parse(body) == nil:
		r.at(u.Channel).Update(&u)
	case kind == record.KindBatch && b.Parse(body) == nil:
		_ = r.at(b.Channel).Batch(&b) // a malformed change would show as lost
	case kind == record.KindPage && p.Parse(body) == nil:
		_ = r.at(p.Channel).Page(&p) // a malformed page would show as missing keys
	case kind == record.KindManifest && m.Parse(body) == nil:
		r.at(m.Channel).Manifest(&m)
	case kind == record.KindTotals && t.Parse(body) == nil:
		r.at(t.Channel).Totals(&t)
	case kind == record.KindReplay && again.Parse(body) == nil:
		_ = r.at(again.Channel).Replay(&again, body) // a malformed page would show as missing records
	case kind == record.KindWindow && w.Parse(body) == nil:
		r.at(w.Channel).Window(&w)
	}
}

// at returns a channel to which something comes now.
func (r *RX) at(id uint16) *mirror.Channel {
	c := r.Channels[id]
	c.At(r.now.UnixNano())
	return c
}

// heal works on a page that is sent again, if one waits.
func (r *RX) heal() error {
	for range r.order {
		c := r.at(r.order[r.turn%len(r.order)])
		if c.Waits() {
			more, err := c.Heal(&r.reader)
			if err != nil {
				return fmt.Errorf("linksim: %v", err)
			}
			if !more {
				r.turn++
			}
			return nil
		}
		r.turn++
	}
	return nil
}

// AdmitAll is an anchor that accepts every epoch.
type AdmitAll struct{}

// Admit implements receive.Anchor.
func (AdmitAll) Admit(uint64, [16]byte) (uint64, error) { return 0, nil }
