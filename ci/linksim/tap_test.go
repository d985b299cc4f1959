package linksim

import (
	"bytes"
	"fmt"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/holes"
	"heliograph/firmware/rx/receive"
)

// tap reads what enters the link, also what never arrives: so it knows which records
// left with which numbers, and what of them was sent again.
type tap struct {
	session *wire.Session
	epoch   uint64
	counts  receive.Counts
	demuxes [wire.Classes]*receive.Demux
	left    func(channel uint16, at holes.Position, r *record.Replayed)
	window  func(*record.Window)
	page    func(*record.Replay)
}

// restart begins with an epoch.
func (p *tap) restart(epoch uint64) error {
	var err error
	p.epoch = epoch
	p.session, err = wire.NewSession(Key, epoch, salt(epoch))
	for i := range p.demuxes {
		p.demuxes[i] = receive.NewDemux(&p.counts, p.record)
	}
	return err
}

// frame reads a frame, which it does not change.
func (p *tap) frame(f []byte) {
	var h wire.Header
	if kind, err := wire.KindOf(f); err != nil || kind == wire.Hello {
		return
	}
	if h.Parse(f); h.Kind != wire.Source {
		return
	}
	plain, ok := p.session.Open(bytes.Clone(f), wire.HeaderSize, uint64(h.Sequence))
	if !ok {
		panic(fmt.Sprint("a frame of another session entered the link: ", h))
	}
	p.demuxes[h.Class].Payload(plain)
}

func (p *tap) record(kind record.Kind, body []byte) {
	var u record.Update
	var b record.Batch
	var again record.Replay
	var w record.Window
	switch {
	case kind == record.KindUpdate && u.Parse(body) == nil:
		p.left(u.Channel, holes.Position{Epoch: p.epoch, Number: u.Seq}, &record.Replayed{
			Event: u.Event, Late: u.Late, Payload: u.Payload,
		})
	case kind == record.KindBatch && b.Parse(body) == nil:
		_ = b.Changes(func(e *record.Entry) { // which the receiver would not take either
			p.left(b.Channel, holes.Position{Epoch: p.epoch, Number: e.Seq}, &record.Replayed{Payload: e.Payload})
		})
	case kind == record.KindReplay && again.Parse(body) == nil:
		p.page(&again)
	case kind == record.KindWindow && w.Parse(body) == nil:
		p.window(&w)
	}
}
