package client

import (
	"context"
	"errors"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// ReadItem is an attribute of a node.
type ReadItem struct {
	Node      rawvalue.NodeID
	Attribute ua.AttributeID
}

// Read reads attributes and calls f with each, in order. What f is given is valid
// until it returns. A value that cannot be decoded becomes a DataValue with
// Bad_DecodingError or the like. maxAge is how old a value may be; 0 wants a new one.
func (s *Session) Read(ctx context.Context, items []ReadItem, maxAge time.Duration,
	f func(i int, dv rawvalue.DataValue)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the requests that an error leaves behind
	type part struct {
		start int
		done  chan *reading
	}
	var waiting []part
	inFlight := s.cfg.MaxInFlight
	if s.pace.slowReads() {
		inFlight = 1
	}
	for next := 0; next < len(items) || len(waiting) > 0; {
		for len(waiting) < inFlight && next < len(items) {
			n := min(s.batches.read.size(), len(items)-next)
			p := part{next, make(chan *reading, 1)}
			r := &reading{s: s, maxAge: maxAge, values: make([]rawvalue.DataValue, 0, n)}
			mine := items[next : next+n]
			go func() {
				r.err = r.read(ctx, mine)
				p.done <- r
			}()
			waiting = append(waiting, p)
			next += n
		}
		r := <-waiting[0].done
		if r.err != nil {
			return r.err
		}
		for k, dv := range r.values {
			f(waiting[0].start+k, dv)
		}
		for _, b := range r.bodies {
			s.ch.Recycle(b)
		}
		waiting = waiting[1:]
	}
	return nil
}

// reading is a part of a Read: its values, and the messages that they lie in.
type reading struct {
	s      *Session
	maxAge time.Duration
	values []rawvalue.DataValue
	bodies [][]byte
	err    error
}

// read appends the values of all items: at once, or if that fails in halves.
func (r *reading) read(ctx context.Context, items []ReadItem) error {
	began := time.Now()
	err := r.once(ctx, items)
	if err == nil {
		r.s.batches.read.done(len(items), time.Since(began), r.s.timeout)
	}
	if err == nil || !r.s.divisible(err, &r.s.batches.read, len(items)) {
		return err
	}
	if len(items) == 1 {
		// not refused
		if errors.Is(err, ua.StatusBadTimeout) && r.s.pace.timeout(read().name, r.s.timeout) < maxTimeout {
			return r.read(ctx, items)
		}
		if errors.Is(err, ua.StatusBadTooManyOperations) {
			return err
		}
		dv, _ := rawvalue.SkimDataValue(rawvalue.AppendStatus(nil, codeOf(err), rawvalue.Answer{}),
			rawvalue.Limits{})
		r.values = append(r.values, dv)
		return nil
	}
	half := len(items) / 2
	if err := r.read(ctx, items[:half]); err != nil {
		return err
	}
	return r.read(ctx, items[half:])
}

func (r *reading) once(ctx context.Context, items []ReadItem) error {
	a, err := r.s.do(ctx, read(), 0, func(b []byte) []byte {
		b = appendFloat64(b, float64(r.maxAge)/float64(time.Millisecond))
		b = appendUint32(b, uint32(r.s.cfg.Timestamps))
		b = appendUint32(b, uint32(len(items)))
		for _, it := range items {
			b = appendReadValueID(b, it.Node, it.Attribute)
		}
		return b
	})
	if err != nil {
		return err
	}
	before := len(r.values)
	values := a.DataValues(r.values, len(items))
	if err := a.Err(); err != nil {
		return malformedAnswer("Read", err)
	}
	if n := len(values) - before; n != len(items) {
		return wrongCount("Read", n, len(items))
	}
	r.values, r.bodies = values, append(r.bodies, a.body)
	return nil
}

// appendReadValueID appends a ReadValueId (OPC 10000-4 §7.29): all of the attribute,
// in its default encoding.
func appendReadValueID(b []byte, node rawvalue.NodeID, attribute ua.AttributeID) []byte {
	b = node.AppendTo(b)
	b = appendUint32(b, uint32(attribute))
	b = appendUint32(b, nullLength)
	b = append(b, 0, 0)
	return appendUint32(b, nullLength)
}
