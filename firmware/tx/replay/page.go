package replay

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// page is a closed page. Its bytes do not change.
type page struct {
	channel     *Channel
	serial      uint64 // pages of all channels in the order in which they were closed
	first, last uint64
	since       time.Time // when its first record left
	until       time.Time // when its last record left
	entries     []byte    // nil once it is packed
	body        []byte    // nil until then
	counted     int       // bytes
	unsaved     bool      // it is not to be removed yet
	saved       bool      // Older was given it
	gone        bool
}

// account counts what the page takes.
func (p *page) account() {
	n := cap(p.entries) + cap(p.body) + pageOverhead
	p.channel.bytes += n - p.counted
	p.channel.window.bytes += n - p.counted
	p.counted = n
}

// pack makes the page's body.
func (p *page) pack() {
	if p.body != nil {
		return
	}
	w := p.channel.window
	w.pack(&record.ReplayWriter{Entries: p.entries, First: p.first, Last: p.last}, p.channel.id)
	p.body = append(make([]byte, 0, len(w.scratch)), w.scratch...)
	w.free(p.entries)
	p.entries = nil
	if !p.gone {
		p.account()
	}
}

// pack makes the body of what a writer has, in scratch.
func (w *Window) pack(from *record.ReplayWriter, channel uint16) {
	if cap(w.scratch) > keepScratch {
		w.scratch = nil
	}
	w.scratch = from.AppendReplay(w.scratch[:0], channel, w.config.Epoch, w.packer)
}

// packNext packs the oldest page that waits for it.
func (w *Window) packNext() {
	p := w.pending[0]
	w.pending = append(w.pending[:0], w.pending[1:]...)
	p.pack()
}

// buffer returns an empty buffer for entries, or nil.
func (w *Window) buffer() []byte {
	n := len(w.buffers)
	if n == 0 {
		return nil
	}
	b := w.buffers[n-1]
	w.buffers = w.buffers[:n-1]
	w.bytes -= cap(b)
	return b[:0]
}

// free makes a buffer free, or leaves it to the garbage collector.
func (w *Window) free(b []byte) {
	if cap(b) <= 2*pageBytes && len(w.buffers) < maxPending {
		w.buffers = append(w.buffers, b)
		w.bytes += cap(b)
	}
}

// evict removes the oldest pages of those channels that take most, until the window
// is within its bounds or has no closed page.
func (w *Window) evict() {
	for w.bytes > w.config.Limit {
		var most *Channel
		for _, c := range w.channels {
			if len(c.pages) > 0 && !c.pages[0].unsaved && (most == nil || c.bytes+c.taken > most.bytes+most.taken) {
				most = c
			}
		}
		if most == nil {
			return
		}
		most.drop()
		w.stats.Evicted++
	}
}
