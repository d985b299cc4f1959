// Package replay keeps what has left the link, and gives it out again in passes from
// the oldest record to the newest, so that a receiver fills the holes that an outage
// left. Nothing says which holes there are: a pass repeats everything.
//
//	channel.go   what leaves is appended to its channel's open page
//	page.go      a page that is full is closed, packed and bounded
//	pass.go      statements, pages, open pages: what a pass consists of
//	older.go     pages that are elsewhere too, on a disk, and those that are there alone
//
// A page is a body of package record: consecutive numbers of one channel and epoch.
// It begins with the number after the last of the page before, so that pages cover
// every number, and one without an entry never left.
//
// The window is bounded in bytes. Beyond it the channel that takes most loses its
// oldest page, counted: all channels have the same share, and what one does not use
// is the others'.
//
// The package is pure: it has no I/O and no goroutine, and time is an argument. It
// refuses to know which channel needs what, to wait for the line, which takes bodies
// when it has nothing else to send, and to keep the gateway's own channel.
package replay

import (
	"fmt"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Our own choices.
const (
	pageBytes    = 32 << 10 // of a page's entries, before packing
	passEvery    = time.Second
	maxPending   = 8         // closed pages that wait to be packed, in the line's idle time
	keepScratch  = 256 << 10 // bytes of a buffer that stays
	pageOverhead = 160       // bytes that a page takes beside its body
	packWindow   = 64 << 10  // bytes: a page fits, and the encoder stays small
)

// Config is what a window needs.
type Config struct {
	Epoch uint64    // of this run
	Limit int       // bytes; 0: nothing is kept, which the passes state
	Start time.Time // the present
	Older Older     // nil: what the window has no room for is gone
}

// Window is what can be sent again. It is safe for concurrent use.
type Window struct {
	config  Config
	packer  *zstd.Encoder
	scratch []byte

	mu       sync.Mutex
	channels []*Channel
	bytes    int
	serial   uint64   // of the newest closed page
	pending  []*page  // closed and not packed, oldest first
	buffers  [][]byte // of entries, free
	unsaved  []*page  // closed, and not given to Older yet, oldest first
	pass     pass
	stats    Stats
}

// Stats is what a window counts; the tags are those of package counter.
type Stats struct {
	Records uint64 `count:"kept_records" help:"Records kept to be sent again."`
	Sent    uint64 `count:"sent_pages" help:"Pages of records sent again."`
	Passes  uint64 `count:"finished_passes" help:"Passes over the whole window."`
	Evicted uint64 `count:"evicted_pages" help:"Oldest pages removed because the window was full."`
	Unsaved uint64 `count:"unsaved_pages" help:"Pages that the disk was too slow or too full for."`
	Bytes   int    `gauge:"window_bytes" help:"Memory that the window takes."`
}

// New returns an empty window.
func New(c Config) (*Window, error) {
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(packWindow), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("replay: %v", err)
	}
	return &Window{config: c, packer: packer, pass: pass{next: c.Start}}, nil
}

// Stats returns the counters.
func (w *Window) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Bytes = w.bytes
	return s
}

// Reach returns how long ago everything that has left since can be sent again, of all
// channels together.
func (w *Window) Reach(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.config.Limit == 0 {
		return 0
	}
	reach := now.Sub(w.config.Start)
	for i, c := range w.channels {
		if own := c.reach(now); i == 0 || own < reach {
			reach = own
		}
	}
	return max(reach, 0)
}

// Pass returns how long a pass takes; 0: none has ended yet that sent anything.
func (w *Window) Pass(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pass.expected(now, w)
}
