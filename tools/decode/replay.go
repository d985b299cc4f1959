package decode

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// replayed puts the pieces of records of the replay class together, as long as no
// frame of the session is missing: almost every page is cut. It keeps one record.
type replayed struct {
	session  uint16
	sequence uint64 // of the frame that comes next
	kind     record.Kind
	body     []byte // nil: the record's beginning is not known
	reader   record.ReplayReader
}

// maxBody bounds what is kept of a record: a page that is not packed, and its head.
const maxBody = record.MaxReplay + 64

// frame begins an authentic frame of any class: what was kept is of use only if it is
// the next.
func (p *replayed) frame(session uint16, sequence uint64) {
	if session != p.session || sequence != p.sequence {
		p.body = nil
	}
	p.session, p.sequence = session, sequence+1
}

// item describes an item: its last piece as the whole record, if all of it is known.
func (p *replayed) item(it record.Item) Record {
	r := item(it)
	if it.First && it.Last {
		p.describe(&r, it.Kind, it.Body)
		return r
	}
	switch {
	case it.First:
		p.kind, p.body = it.Kind, append(p.body[:0], it.Body...)
		r.pageHead(it.Body)
	case p.body != nil && it.Kind == p.kind && len(p.body)+len(it.Body) <= maxBody:
		p.body = append(p.body, it.Body...)
		if it.Last {
			p.describe(&r, it.Kind, p.body)
		}
	default:
		p.body = nil
	}
	if it.Last {
		p.body = nil
	}
	return r
}

// describe describes a whole record; an item that is one has been described but for
// the entries of a page.
func (p *replayed) describe(r *Record, kind record.Kind, body []byte) {
	switch kind {
	case record.KindWindow:
		if r.window(body) != nil {
			r.Kind = malformed
		}
	case record.KindReplay:
		var page record.Replay
		entries, err := uint64(0), page.Parse(body)
		if err == nil {
			err = p.reader.Entries(&page, func(*record.Replayed) { entries++ })
		}
		if err != nil {
			r.Kind = malformed
			return
		}
		r.pageHead(body)
		r.Entries, r.Packed = &entries, new(len(body))
	}
}

// pageHead shows what the beginning of a page says.
func (r *Record) pageHead(body []byte) {
	var p record.Replay
	if r.Kind == kindName(record.KindReplay) && p.Parse(body) == nil {
		r.Channel, r.Epoch, r.From, r.To, r.Unpacked = name(p.Channel), &p.Epoch, &p.First, &p.Last, new(p.Size())
	}
}

func (r *Record) window(body []byte) error {
	var w record.Window
	err := w.Parse(body)
	r.Channel, r.Epoch, r.From = name(w.Channel), &w.Epoch, &w.First
	r.Reach = (time.Duration(min(w.Reach, 1<<32)) * time.Second).String()
	if w.Pass > 0 {
		r.Pass = (time.Duration(min(w.Pass, 1<<42)) * time.Millisecond).String()
	}
	return err
}
