package decode

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"heliograph/firmware/conduit/record"
)

// Record is what one item of a source frame says. Text of the link is shown
// with Go's escapes, cut after some bytes.
type Record struct {
	Kind      string    `json:"kind"`            // or malformed
	Piece     string    `json:"piece,omitempty"` // first, middle or last, of a record that is cut
	Size      int       `json:"size"`            // of the item's body
	Channel   string    `json:"channel,omitempty"`
	Sequence  *uint64   `json:"sequence,omitempty"`
	Flags     []string  `json:"flags,omitempty"`
	Time      time.Time `json:"time,omitzero"`
	Created   uint64    `json:"born,omitempty"`
	Key       *string   `json:"key,omitempty"`
	Payload   *int      `json:"payload,omitempty"` // bytes
	Excerpt   string    `json:"excerpt,omitempty"` // of the payload
	From      *uint64   `json:"from,omitempty"`
	To        *uint64   `json:"to,omitempty"`
	Keys      *uint64   `json:"keys,omitempty"`
	Hash      string    `json:"hash,omitempty"`
	State     string    `json:"state,omitempty"`
	Conflated *uint64   `json:"conflated,omitempty"`
	Dropped   *uint64   `json:"dropped,omitempty"`
	Earlier   *uint64   `json:"earlier,omitempty"` // records of earlier epochs
	Reason    string    `json:"reason,omitempty"`
	Uptime    string    `json:"uptime,omitempty"`
	Epoch     *uint64   `json:"epoch,omitempty"`    // of a page of records that are sent again, or of the oldest one
	Entries   *uint64   `json:"entries,omitempty"`  // of such a page
	Packed    *int      `json:"packed,omitempty"`   // bytes of the page
	Unpacked  *int      `json:"unpacked,omitempty"` // bytes of its entries
	Reach     string    `json:"reach,omitempty"`    // how far back everything can be sent again
	Pass      string    `json:"pass,omitempty"`     // how long the last pass took
}

// malformed is the kind of what is not a record.
const malformed = "malformed"

// Our own bounds of what is shown, in bytes.
const (
	maxKey     = 120
	maxExcerpt = 48
)

// records takes the items out of a source frame.
func records(plain []byte, each func(record.Item) Record) []Record {
	var out []Record
	for {
		it, rest, err := record.NextItem(plain)
		if err == io.EOF {
			return out
		}
		if err != nil {
			return append(out, Record{Kind: malformed, Size: len(plain)})
		}
		out = append(out, each(it))
		plain = rest
	}
}

func item(it record.Item) Record {
	if !it.First || !it.Last {
		piece := "middle"
		if it.First {
			piece = "first"
		} else if it.Last {
			piece = "last"
		}
		return Record{Kind: kindName(it.Kind), Piece: piece, Size: len(it.Body)}
	}
	r := Record{Kind: kindName(it.Kind), Size: len(it.Body)}
	var err error
	switch it.Kind {
	case record.KindUpdate:
		err = r.update(it.Body)
	case record.KindBatch:
		err = r.batch(it.Body)
	case record.KindPage:
		err = r.page(it.Body)
	case record.KindManifest:
		err = r.manifest(it.Body)
	case record.KindTotals:
		err = r.totals(it.Body)
	case record.KindHeartbeat:
		err = r.heartbeat(it.Body)
	}
	if err != nil {
		return Record{Kind: malformed, Size: len(it.Body)}
	}
	return r
}

func kindName(k record.Kind) string {
	switch k {
	case record.KindUpdate:
		return "update"
	case record.KindBatch:
		return "batch"
	case record.KindPage:
		return "page"
	case record.KindManifest:
		return "manifest"
	case record.KindTotals:
		return "totals"
	case record.KindHeartbeat:
		return "heartbeat"
	case record.KindReplay:
		return "replay"
	case record.KindWindow:
		return "window"
	}
	return fmt.Sprintf("kind-%d", k)
}

func (r *Record) update(body []byte) error {
	var u record.Update
	if err := u.Parse(body); err != nil {
		return err
	}
	r.Channel, r.Sequence, r.Created = name(u.Channel), new(u.Seq), u.Created
	r.flag(u.Key != nil, "keyed")
	r.flag(u.Event, "event")
	r.flag(u.Delete, "delete")
	r.flag(u.Late, "late")
	if u.Time != 0 {
		r.Time = time.Unix(0, u.Time).UTC()
	}
	if u.Key != nil {
		r.Key = new(printable(u.Key, maxKey))
	}
	r.Payload, r.Excerpt = new(len(u.Payload)), printable(u.Payload, maxExcerpt)
	return nil
}

// batch shows how many keys have new values, and from which birth to which.
func (r *Record) batch(body []byte) error {
	var b record.Batch
	if err := b.Parse(body); err != nil {
		return err
	}
	var keys uint64
	from, to := ^uint64(0), uint64(0)
	err := b.Changes(func(e *record.Entry) {
		keys++
		from, to = min(from, e.Created), max(to, e.Created)
	})
	r.Channel, r.Sequence, r.From, r.To, r.Keys = name(b.Channel), new(b.Seq), &from, &to, &keys
	return err
}

func (r *Record) page(body []byte) error {
	var p record.Page
	if err := p.Parse(body); err != nil {
		return err
	}
	var keys uint64
	err := p.Entries(func(*record.Entry) { keys++ })
	r.Channel, r.Sequence, r.From, r.To, r.Keys = name(p.Channel), new(p.Seq), new(p.From), new(p.To), new(keys)
	r.flag(p.Last, "last")
	return err
}

func (r *Record) manifest(body []byte) error {
	var m record.Manifest
	err := m.Parse(body)
	r.Channel, r.Sequence, r.Keys = name(m.Channel), new(m.Seq), new(m.Keys)
	r.Hash = fmt.Sprintf("%016x", m.Hash)
	r.flag(m.Partial, "partial")
	return err
}

func (r *Record) totals(body []byte) error {
	var t record.Totals
	err := t.Parse(body)
	r.Channel, r.Sequence, r.Keys = name(t.Channel), new(t.Seq), new(t.Keys)
	r.Conflated, r.Dropped, r.Reason = new(t.Conflated), new(t.Dropped), printable([]byte(t.Reason), record.MaxReason)
	r.State = t.State.String()
	r.flag(t.Partial, "partial")
	if t.Earlier > 0 {
		r.Earlier = new(t.Earlier)
	}
	return err
}

func (r *Record) heartbeat(body []byte) error {
	var h record.Heartbeat
	err := h.Parse(body)
	r.Time = time.Unix(0, h.UTC).UTC()
	r.flag(!h.ClockSet, "clock-unset")
	r.Uptime = (time.Duration(min(h.Uptime, 1<<40)) * time.Millisecond).String()
	return err
}

func (r *Record) flag(on bool, word string) {
	if on {
		r.Flags = append(r.Flags, word)
	}
}

// printable shows at most limit bytes in printable ASCII.
func printable(b []byte, limit int) string {
	end := ""
	if len(b) > limit {
		b, end = b[:limit], "..."
	}
	quoted := strconv.QuoteToASCII(string(b))
	return quoted[1:len(quoted)-1] + end
}
