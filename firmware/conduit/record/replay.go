package record

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Replay is a page of records that are sent again: what left of a channel with the
// numbers First to Last of an epoch, which may be an earlier one. A number between
// them that no entry has never left, so that it is lost for good.
type Replay struct {
	Channel     uint16
	Epoch       uint64
	First, Last uint64
	size        int // of the entries, unpacked
	packed      bool
	body        []byte
}

// Replayed is an entry of a replay page.
type Replayed struct {
	Seq     uint64
	Time    int64 // the source's timestamp, ns since 1970 UTC; 0: none given
	Event   bool
	Delete  bool
	Late    bool
	Key     []byte // nil: no key
	Payload []byte
}

// MaxReplay bounds the entries of a replay page, unpacked, in bytes: one record of
// the largest size, and what stands around it.
const MaxReplay = MaxRecord + MaxKey + 64

const flagPacked = 1

// flagKnown is an entry's flag: its key is one that an entry before it brought.
const flagKnown = 8

// ReplayWriter appends entries to a page. Reset comes first. Not safe for concurrent use.
type ReplayWriter struct {
	Entries     []byte // unpacked
	First, Last uint64
	run         Run
	keys        keyTable
}

// Reset begins an empty page, whose first number is one more than the page's before,
// and keeps its memory.
func (w *ReplayWriter) Reset(first uint64) {
	w.keys.reset()
	*w = ReplayWriter{
		Entries: w.Entries[:0], First: first, Last: first - 1, run: Run{Created: first - 1}, keys: w.keys,
	}
}

// Memory returns the bytes that the writer takes.
func (w *ReplayWriter) Memory() int { return cap(w.Entries) + w.keys.memory() }

// Append appends an entry. Numbers must rise. It does not allocate once the writer's
// memory has grown.
func (w *ReplayWriter) Append(e *Replayed) {
	step := e.Seq - w.run.Created
	w.run.Created, w.Last = e.Seq, e.Seq
	var slot *uint32
	known := false
	if e.Key != nil {
		slot = w.keys.find(w.Entries, e.Key)
		known = *slot > 0
	}
	flags := flag(e.Key != nil, flagKeyed) | flag(e.Event, flagEvent) | flag(e.Delete, flagDelete) |
		flag(known, flagKnown) | flag(e.Late, flagLate)
	dst := append(w.Entries, flags, w.run.head(len(e.Payload), e.Time, step != 1))
	if step != 1 {
		dst = binary.AppendUvarint(dst, step)
	}
	switch {
	case known:
		dst = binary.AppendUvarint(dst, uint64(*slot-1))
	case e.Key != nil:
		dst = binary.AppendUvarint(dst, uint64(len(e.Key)))
		dst = append(dst, e.Key...)
		w.keys.add(slot, dst, len(e.Key))
	}
	w.Entries = w.run.appendTail(dst, e.Time, e.Payload)
}

// AppendReplay appends the page's encoding. With an encoder the entries are packed
// if that makes them shorter.
func (w *ReplayWriter) AppendReplay(dst []byte, channel uint16, epoch uint64, enc *zstd.Encoder) []byte {
	dst = binary.BigEndian.AppendUint16(dst, channel)
	mark := len(dst)
	dst = append(dst, 0)
	dst = binary.AppendUvarint(dst, epoch)
	dst = binary.AppendUvarint(dst, w.First)
	dst = binary.AppendUvarint(dst, w.Last-w.First)
	dst = binary.AppendUvarint(dst, uint64(len(w.Entries)))
	head := len(dst)
	if enc != nil {
		dst = enc.EncodeAll(w.Entries, dst)
		if len(dst)-head < len(w.Entries) {
			dst[mark] = flagPacked
			return dst
		}
	}
	return append(dst[:head], w.Entries...)
}

// Parse decodes a page's head, which is all that a receiver needs that has every
// number of it.
func (p *Replay) Parse(body []byte) error {
	c := cursor{rest: body}
	*p = Replay{Channel: c.uint16()}
	f := c.byte()
	p.packed = f&flagPacked != 0
	p.Epoch = c.uvarint()
	p.First = c.uvarint()
	p.Last = c.sum(p.First, c.uvarint())
	size := c.uvarint()
	p.body = c.rest
	if c.bad || f > flagPacked || p.Epoch == 0 || p.First == 0 || size > MaxReplay ||
		!p.packed && size != uint64(len(p.body)) {
		return ErrMalformed
	}
	p.size = int(size)
	return nil
}

// Size returns how many bytes the page's entries are, unpacked.
func (p *Replay) Size() int { return p.size }

// ReplayReader unpacks replay pages. The zero value is ready. Not safe for
// concurrent use.
type ReplayReader struct {
	decoder *zstd.Decoder
	buf     []byte
	keys    [][]byte
	cursor  cursor
	run     Run
	page    *Replay
	last    uint64
	entry   Replayed
}

// keepUnpacked bounds the buffer that stays between pages, in bytes.
const keepUnpacked = 1 << 20

// Entries calls f with every entry, lowest number first. An entry's slices are valid
// during the call.
func (r *ReplayReader) Entries(p *Replay, f func(*Replayed)) error {
	if err := r.Begin(p); err != nil {
		return err
	}
	for {
		switch e, err := r.Next(); err {
		case nil:
			f(e)
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// Begin unpacks a page for Next, which needs its body no longer if it is packed.
func (r *ReplayReader) Begin(p *Replay) error {
	entries, err := r.unpack(p)
	r.page = p
	r.cursor, r.run, r.last, r.keys = cursor{rest: entries}, Run{Created: p.First - 1}, p.Last, r.keys[:0]
	return err
}

// At returns the page that Begin was called with last, nil for none.
func (r *ReplayReader) At() *Replay { return r.page }

// Next returns the page's next entry, lowest number first, and io.EOF after the last.
// The entry and its slices are valid until the next call and that of Begin.
func (r *ReplayReader) Next() (*Replayed, error) {
	if len(r.cursor.rest) == 0 {
		if r.run.Created != r.last {
			return nil, ErrMalformed
		}
		return nil, io.EOF
	}
	var ok bool
	if r.entry, ok = r.next(&r.cursor, &r.run); !ok || r.entry.Seq > r.last {
		return nil, ErrMalformed
	}
	return &r.entry, nil
}

func (r *ReplayReader) next(c *cursor, run *Run) (e Replayed, ok bool) {
	flags, head, step := c.byte(), c.byte(), uint64(1)
	if head&createdStep != 0 {
		step = c.uvarint()
		c.bad = c.bad || step <= 1
	}
	run.Created = c.sum(run.Created, step)
	e = Replayed{
		Seq: run.Created, Event: flags&flagEvent != 0, Delete: flags&flagDelete != 0, Late: flags&flagLate != 0,
	}
	keyed := flags&flagKeyed != 0
	switch {
	case flags&flagKnown != 0:
		place := c.uvarint()
		if c.bad || !keyed || place >= uint64(len(r.keys)) {
			return e, false
		}
		e.Key = r.keys[place]
	case keyed:
		e.Key = c.bytes(MaxKey)
		r.keys = append(r.keys, e.Key)
	}
	e.Time, e.Payload = run.tail(c, head)
	return e, !c.bad && flags <= flagLate|15 && (keyed || e.Event) && (keyed || !e.Delete)
}

// unpack returns a page's entries, which are valid until the next call.
func (r *ReplayReader) unpack(p *Replay) ([]byte, error) {
	if !p.packed {
		return p.body, nil
	}
	if r.decoder == nil {
		// One goroutine, and never more memory than the page says that it takes.
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxReplay),
			zstd.WithDecoderMaxWindow(MaxReplay))
		if err != nil {
			return nil, fmt.Errorf("record: unpacking a replay page: %v", err)
		}
		r.decoder = d
	}
	if cap(r.buf) > keepUnpacked {
		r.buf = nil
	}
	if cap(r.buf) < p.size {
		r.buf = make([]byte, 0, p.size)
	}
	out, err := r.decoder.DecodeAll(p.body, r.buf[:0])
	if err != nil || len(out) != p.size {
		return nil, ErrMalformed
	}
	r.buf = out
	return out, nil
}

// Window states what the transmitter can still send again of a channel. It begins
// each pass over the window.
type Window struct {
	Channel uint16
	Epoch   uint64 // of the oldest record in the window, or the present one
	First   uint64 // its number, or the next one; everything before it is out of reach
	Reach   uint64 // seconds: everything of the channel that left within them can be sent again
	Pass    uint64 // milliseconds that the last pass took; 0: none has ended yet
}

// Append appends the encoded statement to dst.
func (w *Window) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, w.Channel)
	dst = append(dst, 0)
	for _, v := range []uint64{w.Epoch, w.First, w.Reach, w.Pass} {
		dst = binary.AppendUvarint(dst, v)
	}
	return dst
}

// Parse decodes body.
func (w *Window) Parse(body []byte) error {
	c := cursor{rest: body}
	*w = Window{Channel: c.uint16()}
	flags := c.byte()
	w.Epoch, w.First, w.Reach, w.Pass = c.uvarint(), c.uvarint(), c.uvarint(), c.uvarint()
	if c.bad || flags != 0 || len(c.rest) != 0 || w.Epoch == 0 || w.First == 0 {
		return ErrMalformed
	}
	return nil
}
