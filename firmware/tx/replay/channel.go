package replay

import (
	"slices"
	"time"

	"heliograph/firmware/conduit/record"
)

// Channel is one channel's part of the window. All its fields belong to the window.
type Channel struct {
	window *Window
	id     uint16
	pages  []*page // closed, oldest first
	before int     // closed pages that are no longer there
	bytes  int     // of the closed pages
	open   record.ReplayWriter
	since  time.Time // when the open page's first record left
	until  time.Time // when the newest record left
	whole  time.Time // what left before is not all kept; zero: all is, by the window or by Older
	taken  int       // bytes that the open page takes, as counted

	body     []byte // the open page's, as it was last given out
	bodyLast uint64 // its last number
}

// Channel adds a channel, by its number on the link.
func (w *Window) Channel(id uint16) *Channel {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := &Channel{window: w, id: id}
	c.open.Reset(1)
	w.channels = append(w.channels, c)
	return c
}

// Keep keeps a record that leaves now. Numbers must rise. The entry's slices are not
// kept.
func (c *Channel) Keep(now time.Time, e *record.Replayed) {
	w := c.window
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.config.Limit == 0 {
		c.open.Reset(e.Seq + 1)
		return
	}
	if !c.empty() && len(c.open.Entries)+len(e.Key)+len(e.Payload) > pageBytes {
		c.close()
	}
	if c.empty() {
		c.since = now
	}
	c.open.Append(e)
	c.until = now
	w.stats.Records++
	if len(c.open.Entries) >= pageBytes {
		c.close()
	}
	c.account()
	w.evict()
}

// Skip notes that no record has the number, nor will have it. Without a window everything up
// to it is out of reach; otherwise the page of the next record shows it.
func (c *Channel) Skip(seq uint64) {
	w := c.window
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.config.Limit == 0 {
		c.open.Reset(seq + 1)
	}
}

func (c *Channel) empty() bool { return c.open.Last < c.open.First }

// account counts what the open page takes.
func (c *Channel) account() {
	taken := c.open.Memory() + cap(c.body)
	c.window.bytes += taken - c.taken
	c.taken = taken
}

// close closes the open page.
func (c *Channel) close() {
	w := c.window
	w.serial++
	p := &page{
		channel: c, serial: w.serial, first: c.open.First, last: c.open.Last, since: c.since, until: c.until,
		entries: c.open.Entries,
	}
	c.pages = append(c.pages, p)
	p.account()
	w.pending = append(w.pending, p)
	w.addUnsaved(p)
	c.open.Entries, c.body, c.bodyLast = w.buffer(), nil, 0
	c.open.Reset(p.last + 1)
	for len(w.pending) > maxPending {
		w.packNext()
	}
}

// openBody returns the open page's body, which is valid until the next call.
func (c *Channel) openBody() []byte {
	if c.bodyLast != c.open.Last {
		w := c.window
		w.pack(&c.open, c.id)
		c.body, c.bodyLast = append(c.body[:0], w.scratch...), c.open.Last
		c.account()
	}
	return c.body
}

// oldest returns the first number that can be sent again, or the next one.
func (c *Channel) oldest() uint64 {
	if len(c.pages) > 0 {
		return c.pages[0].first
	}
	return c.open.First
}

// reach returns how long ago everything that has left since can be sent again.
func (c *Channel) reach(now time.Time) time.Duration {
	if o := c.window.config.Older; o != nil {
		if since, ok := o.Since(); ok {
			return min(now.Sub(since), now.Sub(c.whole))
		}
	}
	switch {
	case c.window.config.Limit == 0:
		return 0
	case c.before == 0:
		return now.Sub(c.window.config.Start)
	case len(c.pages) > 0:
		return now.Sub(c.pages[0].since)
	case !c.empty():
		return now.Sub(c.since)
	}
	return 0
}

// drop removes the oldest closed page.
func (c *Channel) drop() {
	p := c.pages[0]
	p.gone = true
	c.pages[0] = nil
	c.pages = c.pages[1:]
	c.before++
	c.bytes -= p.counted
	c.window.bytes -= p.counted
	if !p.saved && c.window.config.Older != nil {
		c.whole = p.until
		c.window.lost(p)
	}
	if p.entries != nil { // it was never packed
		c.window.pending = slices.DeleteFunc(c.window.pending, func(q *page) bool { return q == p })
	}
}
