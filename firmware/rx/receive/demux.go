package receive

import (
	"io"

	"heliograph/firmware/conduit/record"
)

// Demux reassembles the records of one class. Not safe for concurrent
// use.
type Demux struct {
	record     func(kind record.Kind, body []byte)
	counts     *Counts
	kind       record.Kind
	partial    []byte
	assembling bool // partial is the beginning of a record
}

// NewDemux returns a demux that calls f with every record. The body is valid
// only during the call.
func NewDemux(counts *Counts, f func(kind record.Kind, body []byte)) *Demux {
	return &Demux{counts: counts, record: f}
}

// Payload adds the payload of the next frame.
func (d *Demux) Payload(payload []byte) {
	for {
		it, rest, err := record.NextItem(payload)
		if err == io.EOF {
			return
		}
		if err != nil {
			d.counts.Malformed++
			return
		}
		payload = rest
		if it.Kind.Known() {
			d.addItem(it)
		} else if it.First {
			d.counts.Skipped++
		}
	}
}

// Hole notes that frames are missing before the next payload.
func (d *Demux) Hole() { d.assembling = false }

func (d *Demux) addItem(it record.Item) {
	if it.First && it.Last {
		d.record(it.Kind, it.Body)
		return
	}
	if it.First {
		d.kind, d.partial, d.assembling = it.Kind, d.partial[:0], true
	}
	if !d.assembling || it.Kind != d.kind || len(d.partial)+len(it.Body) > maxBody {
		d.assembling = false // its beginning is lost, or it is longer than any record
		return
	}
	d.partial = append(d.partial, it.Body...)
	if !it.Last {
		return
	}
	d.assembling = false
	d.record(d.kind, d.partial)
	if cap(d.partial) > keepPartial {
		d.partial = nil
	}
}

// maxBody is more than the largest body of a record: a page with one entry, or one of
// replayed records.
const maxBody = record.MaxReplay + 2*record.PageHeadSize

// keepPartial bounds the buffer that stays between large records.
const keepPartial = 1 << 20
