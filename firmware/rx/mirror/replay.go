package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
)

// Late says how a channel's sink takes records late.
type Late uint8

// The ways to take late records.
const (
	None     Late = iota // not at all: what is missed is lost
	InOrder              // each after all before it
	AnyOrder             // as they come
)

// pass is how far the transmitter's pass over its window has come.
type pass struct {
	at       holes.Position // end of the last page, or where the window begins
	unbroken bool           // nothing was missed since
}

// TakeLate says how the channel's sink takes records late. To be called before
// anything else.
func (c *Channel) TakeLate(l Late) {
	c.late = l
	c.holes.Closed = l == None
}

// Window applies what the transmitter states of its window, as a pass begins:
// everything before it is lost for good.
func (c *Channel) Window(w *record.Window) {
	if w.Epoch > c.epoch {
		return
	}
	c.window = *w
	begin := holes.Position{Epoch: w.Epoch, Number: w.First - 1}
	c.holes.Lose(holes.Position{}, begin)
	c.pass = pass{at: begin, unbroken: true}
}

// Reach returns what the transmitter stated of its window; ok is false as long as it
// has stated nothing in this session.
func (c *Channel) Reach() (w record.Window, ok bool) { return c.window, c.window.Epoch != 0 }

// MissReplay notes that some of what is sent again did not arrive, pages perhaps.
func (c *Channel) MissReplay() { c.pass.unbroken = false }

// Replay applies a page of records that are sent again. One that has nothing that is
// missing costs a look at its head.
func (c *Channel) Replay(p *record.Replay, r *record.ReplayReader) error {
	if p.Epoch > c.epoch || p.Last == ^uint64(0) {
		return record.ErrMalformed
	}
	first := holes.Position{Epoch: p.Epoch, Number: p.First}
	if at := c.pass.at; c.pass.unbroken && at.Before(first) {
		c.holes.Lose(at.Next(), holes.Position{Epoch: p.Epoch, Number: p.First - 1})
	}
	c.pass = pass{at: holes.Position{Epoch: p.Epoch, Number: p.Last}, unbroken: true}
	if !c.holes.Overlaps(p.Epoch, p.First, p.Last) {
		return nil
	}
	if open, _ := c.holes.First(); c.late == InOrder && open.Before(first) {
		return nil
	}
	pieces, ok := c.holes.Cut(c.pieces[:0], p.Epoch, p.First, p.Last)
	if !ok {
		return nil
	}
	c.pieces = pieces
	upTo, err := c.fillPieces(p, r)
	c.holes.Decide(c.pieces, upTo)
	if err != nil {
		c.pass.unbroken = false
	}
	return err
}

// fillPieces delivers a page's records that are missing, and returns up to which
// number the page could be read.
func (c *Channel) fillPieces(p *record.Replay, r *record.ReplayReader) (upTo uint64, err error) {
	i := 0
	upTo = p.First - 1
	err = r.Entries(p, func(e *record.Replayed) {
		for upTo = e.Seq; i < len(c.pieces) && c.pieces[i].Last < e.Seq; i++ {
		}
		if i == len(c.pieces) || e.Seq < c.pieces[i].First {
			return
		}
		c.countFilled(p.Epoch, e.Seq, c.holes.Heal(&c.pieces[i], e.Seq))
		c.counts.Healed++
		c.deliver(Update{
			Key: bytes.Clone(e.Key), Payload: bytes.Clone(e.Payload), Time: e.Time, Event: e.Event, Delete: e.Delete,
			Late: true,
		})
	})
	if err == nil {
		upTo = p.Last
	}
	return upTo, err
}

// Holes returns when records are missing, oldest first, what is lost for good too.
func (c *Channel) Holes() []holes.Hole { return c.holes.Holes() }
