package replay

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// pass is the progress of a pass over the window.
type pass struct {
	active  bool
	next    time.Time // when one may begin
	began   time.Time
	took    time.Duration // the last one that sent anything
	size    int           // of the window in memory when that began, in bytes
	present int           // … when this one did
	empty   bool          // this one has sent nothing but statements
	stage   int           // what is given out, see below
	channel int           // whose turn it is, among statements and open pages
	until   uint64        // pages that are closed later, and what follows them, are for the next pass
	places  []int         // by channel: pages it is past, those that are no longer there included
	retry   time.Time     // when an older page may be there; zero: it is not waited for
	older   []place       // by channel
	scratch []byte
}

// The stages of a pass.
const (
	statements = iota
	olderPages
	closedPages
	openPages
)

// Wake returns when Next will have a body; zero: never, for there is no channel.
func (w *Window) Wake() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.channels) == 0:
		return time.Time{}
	case w.pass.active && !w.pass.retry.IsZero():
		return w.pass.retry
	case w.pass.active:
		return w.pass.began
	}
	return w.pass.next
}

// Next returns the next body of the pass, beginning one if it is time, or nil at the
// end of one, before the next, and while an older page is not there yet. The body is
// valid until the next call.
func (w *Window) Next(now time.Time) (kind record.Kind, body []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &w.pass
	if !p.active {
		if now.Before(p.next) || len(w.channels) == 0 {
			return 0, nil
		}
		p.begin(now, w)
	}
	if len(w.pending) > 0 { // each body packs a page, so that packing keeps up
		w.packNext()
		w.evict()
	}
	if p.stage == statements {
		if c := p.turn(w); c != nil {
			return record.KindWindow, p.state(now, c)
		}
	}
	if p.stage == olderPages {
		if body, more := w.older(now); body != nil {
			w.stats.Sent++
			p.empty = false
			return record.KindReplay, body
		} else if more {
			return 0, nil
		}
		p.stage = closedPages
	}
	if p.stage == closedPages {
		if c := p.oldest(w); c != nil {
			q := c.pages[p.place(c)]
			p.places[p.channel]++
			p.given(w, p.channel, q.last)
			q.pack()
			w.stats.Sent++
			p.empty = false
			return record.KindReplay, q.body
		}
		p.stage, p.channel = openPages, 0
	}
	for c := p.turn(w); c != nil; c = p.turn(w) {
		if !c.empty() && p.past(c) && p.follows(p.channel-1, c.open.First) {
			w.stats.Sent++
			p.empty = false
			body = c.openBody()
			w.evict()
			return record.KindReplay, body
		}
	}
	p.end(now, w)
	return 0, nil
}

func (p *pass) begin(now time.Time, w *Window) {
	p.active, p.began, p.next, p.empty, p.present = true, now, now.Add(passEvery), true, max(w.bytes, 1)
	p.stage, p.channel, p.until = statements, 0, w.serial
	p.places = append(p.places[:0], make([]int, len(w.channels))...)
	if o := w.config.Older; o != nil {
		o.Rewind()
		p.older = p.older[:0]
		for _, c := range w.channels { // what is before, and does not come from Older, is lost
			p.older = append(p.older, place{next: c.oldest()})
		}
	}
}

func (p *pass) end(now time.Time, w *Window) {
	p.active = false
	if !p.empty {
		p.took, p.size = max(now.Sub(p.began), time.Millisecond), p.present
	}
	w.stats.Passes++
}

// expected returns how long a pass takes: as long as the last one, and longer by as much
// as there is more to send now; no less than the present one has taken. 0: it is not known.
func (p *pass) expected(now time.Time, w *Window) time.Duration {
	if p.took == 0 {
		return 0
	}
	took := p.took
	if w.bytes > p.size {
		took = time.Duration(float64(took) * float64(w.bytes) / float64(p.size))
	}
	if p.active {
		took = max(took, now.Sub(p.began))
	}
	return took
}

// turn returns the next channel, or nil after the last one, when the next stage begins.
func (p *pass) turn(w *Window) *Channel {
	if p.channel == len(p.places) {
		p.stage++
		return nil
	}
	p.channel++
	return w.channels[p.channel-1]
}

// place returns where a channel, whose turn it is, is among its pages.
func (p *pass) place(c *Channel) int {
	p.places[p.channel] = max(p.places[p.channel], c.before)
	return p.places[p.channel] - c.before
}

// oldest returns the channel that has the oldest page of those the pass is not past,
// and makes it its turn.
func (p *pass) oldest(w *Window) (oldest *Channel) {
	least, turn := p.until+1, 0
	for i, c := range w.channels[:len(p.places)] {
		p.channel = i
		if at := p.place(c); at < len(c.pages) && c.pages[at].serial < least && p.follows(i, c.pages[at].first) {
			oldest, least, turn = c, c.pages[at].serial, i
		}
	}
	p.channel = turn
	return oldest
}

// follows reports whether a channel's page beginning with first may be given out next.
func (p *pass) follows(channel int, first uint64) bool {
	return channel >= len(p.older) || p.older[channel].follows(first)
}

// given notes that a channel's page was given out.
func (p *pass) given(w *Window, channel int, last uint64) {
	if w.config.Older != nil {
		p.older[channel].next = last + 1
	}
}

// past reports whether the pass has given out all closed pages of the channel that was
// the last to have its turn. Without them, what is in the open page would seem to be all
// that left since.
func (p *pass) past(c *Channel) bool {
	return max(p.places[p.channel-1], c.before) == c.before+len(c.pages)
}

// state states what can be sent again of a channel.
func (p *pass) state(now time.Time, c *Channel) []byte {
	s := record.Window{
		Channel: c.id, Epoch: c.window.config.Epoch, First: c.oldest(),
		Reach: uint64(max(c.reach(now), 0) / time.Second), Pass: uint64(p.expected(now, c.window).Milliseconds()),
	}
	if o := c.window.config.Older; o != nil {
		if epoch, first, ok := o.Oldest(c.id); ok {
			s.Epoch, s.First = epoch, first
		}
	}
	p.scratch = s.Append(p.scratch[:0])
	return p.scratch
}
