package record

import "encoding/binary"

// Page is one page of the carousel. It decodes on its own and is exact: when
// the channel was at Seq, the keys created in (From, To] were Entries and no
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
	Created uint64 // the sequence number at which the key was created
	Time    int64  // the source's timestamp, ns since 1970 UTC; 0: none given
	Key     []byte
	Payload []byte
}

const flagLast = 1

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

// AppendEntry appends an entry of a page whose Run began at its From.
func (r *Run) AppendEntry(dst []byte, e *Entry) []byte {
	step := e.Created - r.Created
	dst = append(dst, r.head(len(e.Payload), e.Time, step != 1))
	if step != 1 {
		dst = binary.AppendUvarint(dst, step)
	}
	r.Created = e.Created
	dst = binary.AppendUvarint(dst, e.Seq-e.Created)
	dst = binary.AppendUvarint(dst, uint64(len(e.Key)))
	dst = append(dst, e.Key...)
	return r.appendTail(dst, e.Time, e.Payload)
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
	c, run := cursor{rest: p.entries}, Run{Created: p.From}
	for len(c.rest) > 0 {
		head, step := c.byte(), uint64(1)
		if head&createdStep != 0 {
			step = c.uvarint()
			c.bad = c.bad || step <= 1
		}
		e := Entry{Created: c.sum(run.Created, step)}
		e.Seq = c.sum(e.Created, c.uvarint())
		e.Key = c.bytes(MaxKey)
		e.Time, e.Payload = run.tail(&c, head)
		if c.bad || e.Created > p.To || e.Seq > p.Seq {
			return ErrMalformed
		}
		run.Created = e.Created
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
