package receive

import "heliograph/firmware/conduit/record"

// Demux puts the records of one class together again. Not safe for concurrent
// use.
type Demux struct {
	record  func(kind record.Kind, body []byte)
	counts  *Counts
	kind    record.Kind
	partial []byte
	within  bool
}

// NewDemux returns a demux that calls f with every record. The body is valid
// only during the call.
func NewDemux(counts *Counts, f func(kind record.Kind, body []byte)) *Demux {
	return &Demux{counts: counts, record: f}
}

// Payload takes the payload of the next frame.
func (d *Demux) Payload(payload []byte) {
	for {
		it, rest, ok, err := record.NextItem(payload)
		if err != nil {
			d.counts.Malformed++
			return
		}
		if !ok {
			return
		}
		d.item(it)
		payload = rest
	}
}

// Hole says that frames are missing before the next payload.
func (d *Demux) Hole() { d.within = false }

func (d *Demux) item(it record.Item) {
	if it.First && it.Last {
		d.record(it.Kind, it.Body)
		return
	}
	if it.First {
		d.kind, d.partial, d.within = it.Kind, d.partial[:0], true
	}
	if !d.within || it.Kind != d.kind || len(d.partial)+len(it.Body) > record.MaxRecord+record.PageHeadSize+record.MaxKey {
		d.within = false // its beginning is lost, or it is no record of ours
		return
	}
	d.partial = append(d.partial, it.Body...)
	if !it.Last {
		return
	}
	d.within = false
	d.record(d.kind, d.partial)
	if cap(d.partial) > keepPartial {
		d.partial = nil
	}
}

// keepPartial bounds the buffer that stays between large records.
const keepPartial = 1 << 20
