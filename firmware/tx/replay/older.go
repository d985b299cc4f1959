package replay

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// Older is where closed pages are kept longer than a window has room for them, over
// restarts too. Its methods must not wait for a disk.
type Older interface {
	// Oldest returns a position of a channel before which nothing is kept; ok is false
	// when nothing is kept of any channel.
	Oldest(channel uint16) (epoch, first uint64, ok bool)
	// Since returns since when everything that has left is kept; ok is false if that is
	// not known.
	Since() (since time.Time, ok bool)
	// Rewind begins at the oldest page again.
	Rewind()
	// Next returns the next page, which is valid until the next call, or nil: more says
	// that there is one, which is not there yet. What Unsaved returned before Rewind and
	// Next does not return is lost.
	Next() (body []byte, more bool)
}

// Our own choices.
const (
	retryOlder = 2 * time.Millisecond
	maxUnsaved = 8 << 20 // bytes of pages that wait to be saved; beyond, the oldest is not
)

// addUnsaved has a page wait to be saved.
func (w *Window) addUnsaved(p *page) {
	if w.config.Older == nil {
		return
	}
	p.unsaved = true
	w.unsaved = append(w.unsaved, p)
	bytes := 0
	for _, q := range w.unsaved {
		bytes += q.counted
	}
	for ; bytes > maxUnsaved && len(w.unsaved) > 1; w.stats.Unsaved++ {
		bytes -= w.unsaved[0].counted
		w.nextUnsaved()
	}
}

func (w *Window) nextUnsaved() *page {
	p := w.unsaved[0]
	p.unsaved = false
	w.unsaved[0] = nil
	if w.unsaved = w.unsaved[1:]; len(w.unsaved) == 0 {
		w.unsaved = nil
	}
	return p
}

// Unsaved returns the next page that is to be saved, closing open pages whose first
// record left at least age ago. ok is false when there is none.
func (w *Window) Unsaved(now time.Time, age time.Duration) (body []byte, since time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.unsaved) == 0 {
		for _, c := range w.channels {
			if !c.empty() && now.Sub(c.since) >= age {
				c.close()
				c.account()
			}
		}
	}
	if len(w.unsaved) == 0 {
		return nil, time.Time{}, false
	}
	p := w.nextUnsaved()
	p.pack()
	p.saved = true
	w.evict()
	return p.body, p.since, true
}

// place is how far a pass has come in a channel of which Older has pages. What a pass
// leaves out is lost for good to a receiver, so a channel whose pages are removed from
// the window before the pass comes to them ends there: the next pass has them from Older.
// Pages that neither has, because Older could not take them, are left out.
type place struct {
	next uint64 // the number that comes next, or one before which nothing else comes
	held bool   // the window has the next page itself
}

// follows reports whether a page beginning with first leaves nothing out that is not lost.
func (p *place) follows(first uint64) bool { return first <= p.next }

// lost has a pass not wait for a page that was removed and that Older was not given.
func (w *Window) lost(p *page) {
	for i := range w.pass.older {
		if at := &w.pass.older[i]; w.channels[i] == p.channel && p.first <= at.next {
			at.next = max(at.next, p.last+1)
		}
	}
}

// older returns the next page that the window itself does not have, or nil: more says
// that there is one, which is not there yet.
func (w *Window) older(now time.Time) (body []byte, more bool) {
	w.pass.retry = time.Time{}
	if w.config.Older == nil {
		return nil, false
	}
	for {
		body, more := w.config.Older.Next()
		if body == nil && more {
			w.pass.retry = now.Add(retryOlder)
		}
		if body == nil || w.lacks(body) {
			return body, more
		}
	}
}

// lacks reports whether a page of a channel is one that the window has no longer, or
// never had.
func (w *Window) lacks(body []byte) bool {
	var r record.Replay
	if r.Parse(body) != nil || r.Epoch > w.config.Epoch {
		return false
	}
	for i, c := range w.channels[:len(w.pass.older)] {
		p := &w.pass.older[i]
		switch {
		case c.id != r.Channel:
		case r.Epoch < w.config.Epoch:
			return true
		case p.held:
			return false
		case r.First < c.oldest():
			p.next = max(p.next, r.Last+1)
			return true
		default:
			p.next, p.held = max(p.next, r.First), true
			return false
		}
	}
	return false
}
