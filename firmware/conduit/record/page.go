package record

import "encoding/binary"

// Page is one page of the carousel. It decodes on its own and is exact: when
// the channel stood at Seq, the keys born in (From, To] were Entries and no
// others.
type Page struct {
	Channel  uint16
	Last     bool   // the page reaches the newest key; the next cycle starts at 0
	Seq      uint64 // the channel's last sequence number when the page was made
	From, To uint64
	entries  []byte
}

// Entry is a key on a page.
type Entry struct {
	Seq     uint64 // version of the value
	Born    uint64 // the key's first sequence number
	Time    int64  // the source's timestamp, ns since 1970 UTC; 0: none given
	Key     []byte
	Payload []byte
}

const flagLast = 1

// EntrySize bounds the encoded size of an entry from above.
func EntrySize(e *Entry) int {
	return 1 + 10 + 10 + 8 + 3 + len(e.Key) + 5 + len(e.Payload)
}

// PageHeadSize bounds the size of an empty page from above.
const PageHeadSize = 2 + 1 + 3*10

// AppendPage appends a page's head; the entries follow with AppendEntry.
func AppendPage(dst []byte, p *Page) []byte {
	dst = binary.BigEndian.AppendUint16(dst, p.Channel)
	dst = append(dst, flag(p.Last, flagLast))
	dst = binary.AppendUvarint(dst, p.Seq)
	dst = binary.AppendUvarint(dst, p.From)
	return binary.AppendUvarint(dst, p.To-p.From)
}

// AppendEntry appends an entry; prev is the entry before's Born, for the first
// one the page's From.
func AppendEntry(dst []byte, prev uint64, e *Entry) []byte {
	dst = append(dst, flag(e.Time != 0, flagTimed))
	dst = binary.AppendUvarint(dst, e.Born-prev)
	dst = binary.AppendUvarint(dst, e.Seq-e.Born)
	if e.Time != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(e.Time))
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Key)))
	dst = append(dst, e.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(e.Payload)))
	return append(dst, e.Payload...)
}

// Parse decodes a page's head; Entries walks the rest.
func (p *Page) Parse(body []byte) error {
	c := cursor{rest: body}
	*p = Page{Channel: c.uint16()}
	f := c.byte()
	p.Last = f&flagLast != 0
	p.Seq = c.uvarint()
	p.From = c.uvarint()
	p.To = c.sum(p.From, c.uvarint())
	p.entries = c.rest
	if c.bad || f > 1 {
		return ErrMalformed
	}
	return nil
}

// Entries calls f with every entry, oldest key first. An entry's slices are
// parts of the parsed body.
func (p *Page) Entries(f func(*Entry)) error {
	c := cursor{rest: p.entries}
	born := p.From
	for len(c.rest) > 0 {
		flags := c.byte()
		step := c.uvarint()
		e := Entry{Born: c.sum(born, step)}
		e.Seq = c.sum(e.Born, c.uvarint())
		if flags&flagTimed != 0 {
			e.Time = int64(c.uint64())
			c.bad = c.bad || e.Time == 0
		}
		e.Key = c.bytes(MaxKey)
		e.Payload = c.bytes(MaxRecord)
		if c.bad || step == 0 || flags&^flagTimed != 0 || e.Born > p.To || e.Seq > p.Seq {
			return ErrMalformed
		}
		born = e.Born
		f(&e)
	}
	return nil
}

func flag(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}
