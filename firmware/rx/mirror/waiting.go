package mirror

import (
	"bytes"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
)

// Room bounds the packed pages that wait, in bytes. Not safe for concurrent use.
type Room struct {
	Limit int // of all channels that share it
	used  int
}

// waiting are pages that are to be unpacked, in the order in which they came. Its zero
// value has room for one.
type waiting struct {
	room  *Room
	pages []waitingPage
	last  holes.Position // end of the last page

	begun bool          // the first page is being read:
	page  record.Replay // … which one
	from  uint64        // … and from where it goes on
}

// waitingPage is a page that waits.
type waitingPage struct {
	body  []byte
	first holes.Position
}

// ShareRoom makes the pages that wait keep within r, which other channels may share.
// To be called before anything else.
func (c *Channel) ShareRoom(r *Room) { c.waiting.room = r }

// add keeps a copy of a page if there is room, or none waits at all.
func (w *waiting) add(body []byte, first, last holes.Position) {
	if w.room == nil {
		w.room = &Room{}
	}
	if w.room.used > 0 && w.room.used+len(body) > w.room.Limit {
		return
	}
	w.room.used += len(body)
	w.pages = append(w.pages, waitingPage{bytes.Clone(body), first})
	w.last = last
}

// has reports whether a page that ends at last may be among those that wait.
func (w *waiting) has(last holes.Position) bool { return len(w.pages) > 0 && !w.last.Before(last) }

// drop removes the first page.
func (w *waiting) drop() {
	w.room.used -= len(w.pages[0].body)
	w.pages[0], w.begun = waitingPage{}, false
	if w.pages = w.pages[1:]; len(w.pages) == 0 {
		w.pages, w.last = nil, holes.Position{}
	}
}
