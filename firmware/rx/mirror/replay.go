package mirror

import (
	"io"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
)

// Late says how a channel's sink takes records late.
type Late uint8

// The ways to take late records.
const (
	None     Late = iota // not at all: what is missed is lost for good
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
// everything before it is lost for good, unless a page that waits may have it.
func (c *Channel) Window(w *record.Window) {
	if w.Epoch > c.epoch {
		return
	}
	c.window = *w
	begin := holes.Position{Epoch: w.Epoch, Number: w.First - 1}
	c.lose(holes.Position{}, begin)
	c.pass = pass{at: begin, unbroken: true}
}

// lose gives up everything from a to b, except for what lies between the first page that
// waits and the last one: what these do not fill a later pass or window gives up.
func (c *Channel) lose(a, b holes.Position) {
	w := &c.waiting
	if len(w.pages) == 0 || w.last.Before(a) || b.Before(w.pages[0].first) {
		c.holes.Lose(a, b)
		return
	}
	first := w.pages[0].first
	c.holes.Lose(a, holes.Position{Epoch: first.Epoch, Number: first.Number - 1})
	c.holes.Lose(w.last.Next(), b)
}

// Reach returns what the transmitter stated of its window; ok is false as long as it
// has stated nothing in this session.
func (c *Channel) Reach() (w record.Window, ok bool) { return c.window, c.window.Epoch != 0 }

// MissReplay notes that some of what is sent again did not arrive, pages perhaps.
func (c *Channel) MissReplay() { c.pass.unbroken = false }

// Replay takes a page of records that are sent again, whose encoding is body, for
// Heal. One that has nothing that is missing costs a look at its head.
func (c *Channel) Replay(p *record.Replay, body []byte) error {
	if p.Epoch > c.epoch || p.Last == ^uint64(0) {
		c.pass.unbroken = false
		return record.ErrMalformed
	}
	first := holes.Position{Epoch: p.Epoch, Number: p.First}
	last := holes.Position{Epoch: p.Epoch, Number: p.Last}
	if at := c.pass.at; c.pass.unbroken && at.Before(first) {
		c.lose(at.Next(), holes.Position{Epoch: p.Epoch, Number: p.First - 1})
	}
	c.pass = pass{at: last, unbroken: true}
	if !c.holes.Overlaps(p.Epoch, p.First, p.Last) || c.waiting.has(last) || c.blocked(first) {
		return nil
	}
	c.waiting.add(body, first, last)
	return nil
}

// blocked reports whether a page must not be taken yet, because something before it is
// open that no page has that waits.
func (c *Channel) blocked(first holes.Position) bool {
	open, ok := c.holes.FirstAfter(c.waiting.last)
	return c.late == InOrder && ok && open.Before(first)
}

// Waits reports whether pages wait for Heal.
func (c *Channel) Waits() bool { return len(c.waiting.pages) > 0 }

// maxAtOnce bounds the records that Heal delivers in one call: live records wait for it.
const maxAtOnce = 256

// Heal delivers what is missing of the page that has waited longest, or a part of it:
// then more is true, and the next call goes on. It need not unpack the page again if r
// was not used for another in between.
func (c *Channel) Heal(r *record.ReplayReader) (more bool, err error) {
	w := &c.waiting
	if len(w.pages) == 0 {
		return false, nil
	}
	if !w.begun {
		err = w.page.Parse(w.pages[0].body)
		w.begun, w.from = true, w.page.First
	}
	if err == nil && (w.from == w.page.First || r.At() != &w.page) {
		err = r.Begin(&w.page)
	}
	if err == nil {
		more, err = c.healPart(r)
	}
	if !more {
		w.drop()
	}
	return more, err
}

// healPart fills holes with what the reader has next.
func (c *Channel) healPart(r *record.ReplayReader) (more bool, err error) {
	p, from := &c.waiting.page, c.waiting.from
	open, _ := c.holes.First()
	if c.late == InOrder && open.Before(holes.Position{Epoch: p.Epoch, Number: from}) {
		return false, nil // a page before it could not be read
	}
	pieces, ok := c.holes.Cut(c.pieces[:0], p.Epoch, from, p.Last)
	if !ok {
		return false, nil
	}
	c.pieces = pieces
	upTo, err := c.fillPieces(p, r)
	c.holes.Decide(c.pieces, upTo)
	c.waiting.from = upTo + 1
	return err == nil && upTo < p.Last, err
}

// fillPieces delivers a page's records that are missing, maxAtOnce at most, and returns
// up to which number it has come.
func (c *Channel) fillPieces(p *record.Replay, r *record.ReplayReader) (upTo uint64, err error) {
	i := 0
	upTo = c.waiting.from - 1
	for filled := 0; filled < maxAtOnce; {
		e, err := r.Next()
		if err == io.EOF {
			return p.Last, nil
		}
		if err != nil {
			return upTo, err
		}
		for upTo = max(upTo, e.Seq); i < len(c.pieces) && c.pieces[i].Last < e.Seq; i++ {
		}
		if i == len(c.pieces) || e.Seq < c.pieces[i].First {
			continue
		}
		filled++
		c.countFilled(p.Epoch, e.Seq, c.holes.Heal(&c.pieces[i], e.Seq))
		c.counts.Healed++
		u := Update{Time: e.Time, Event: e.Event, Delete: e.Delete, Late: true}
		u.Key, u.Payload = copyOf(e.Key, e.Payload)
		c.deliver(u)
	}
	return upTo, nil
}

// copyOf returns copies of a key, which may be nil, and a payload.
func copyOf(key, payload []byte) (k, p []byte) {
	b := append(append(make([]byte, 0, len(key)+len(payload)), key...), payload...)
	if key != nil {
		k = b[:len(key):len(key)]
	}
	return k, b[len(key):]
}

// Open returns how many of the lost and the unknown may still heal.
func (c *Channel) Open() uint64 { return c.holes.Open() }

// Holes returns when records are missing, oldest first, what is lost for good too.
func (c *Channel) Holes() []holes.Hole { return c.holes.Holes() }
