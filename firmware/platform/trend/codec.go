package trend

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

const (
	version   = 1
	maxPoints = 400             // of a span
	maxTime   = 253_402_300_799 // seconds since 1970: the end of the year 9999
)

// Encode returns the day and the month as they are kept.
func (r *Ring) Encode() []byte {
	b := []byte{version, 0}
	for i := range r.tracks {
		t := &r.tracks[i]
		if !t.kept || !t.begun {
			continue
		}
		b[1]++
		b = binary.BigEndian.AppendUint32(b, uint32(t.step/time.Second))
		b = binary.BigEndian.AppendUint16(b, uint16(t.span.points))
		b = binary.BigEndian.AppendUint64(b, uint64(t.newest))
		b = append(b, byte(len(r.figures)))
		for f, figure := range r.figures {
			b = append(append(b, byte(len(figure.Name))), figure.Name...)
			b = appendFloat(b, t.lines[f].sum)
			b = appendFloat(b, t.lines[f].seconds)
			for _, v := range t.points(f) {
				b = binary.BigEndian.AppendUint32(b, math.Float32bits(v))
			}
		}
	}
	return b
}

func appendFloat(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}

var errShort = errors.New("trend: it ends too early")

// Restore fills a new ring with what Encode returned. Spans and figures that it does not
// have are skipped. An error leaves the ring empty.
func (r *Ring) Restore(b []byte) error {
	into := New(r.figures)
	c := cursor{b}
	head := c.next(2)
	if head == nil {
		return errShort
	}
	if head[0] != version {
		return fmt.Errorf("trend: version %d is not known", head[0])
	}
	for range head[1] {
		if err := into.restoreSpan(&c); err != nil {
			return err
		}
	}
	if len(c.rest) > 0 {
		return fmt.Errorf("trend: %d bytes follow its end", len(c.rest))
	}
	r.tracks = into.tracks
	return nil
}

// restoreSpan restores the next span of a record.
func (r *Ring) restoreSpan(c *cursor) error {
	head := c.next(15)
	if head == nil {
		return errShort
	}
	step := time.Duration(binary.BigEndian.Uint32(head)) * time.Second
	points := int(binary.BigEndian.Uint16(head[4:]))
	newest := int64(binary.BigEndian.Uint64(head[6:]))
	if points == 0 || points > maxPoints || step == 0 || newest < 0 || newest > maxTime/int64(step/time.Second) {
		return fmt.Errorf("trend: %d points to step %d of %v are not a span", points, newest, step)
	}
	var t *track
	for i := range r.tracks {
		if s := &r.tracks[i]; s.kept && s.step == step && s.span.points == points {
			t = s
			t.newest, t.begun = newest, true
		}
	}
	for range head[14] {
		k, err := c.line(points)
		if err != nil {
			return err
		}
		for f, figure := range r.figures {
			if t != nil && figure.Name == k.name {
				t.restore(f, k)
			}
		}
	}
	return nil
}

// kept is one figure of a span.
type kept struct {
	name         string
	sum, seconds float64 // of the unfinished step
	values       []byte
}

// restore fills a line.
func (t *track) restore(f int, k kept) {
	l := &t.lines[f]
	l.sum, l.seconds = k.sum, k.seconds
	for i := range t.span.points {
		l.values[t.slot(t.first()+int64(i))] = float(k.values[4*i:])
	}
}

func float(b []byte) float32 { return math.Float32frombits(binary.BigEndian.Uint32(b)) }

// cursor reads a record.
type cursor struct{ rest []byte }

// next returns the next n bytes, nil when there are fewer.
func (c *cursor) next(n int) []byte {
	if n > len(c.rest) {
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

// line reads one figure.
func (c *cursor) line(points int) (kept, error) {
	length := c.next(1)
	if length == nil {
		return kept{}, errShort
	}
	b := c.next(int(length[0]) + 16 + 4*points)
	if b == nil {
		return kept{}, errShort
	}
	name, b := string(b[:length[0]]), b[length[0]:]
	k := kept{name, double(b), double(b[8:]), b[16:]}
	fine := isNumber(k.sum) && isNumber(k.seconds) && k.seconds >= 0
	for i := range points {
		fine = fine && !math.IsInf(float64(float(k.values[4*i:])), 0)
	}
	if !fine {
		return kept{}, fmt.Errorf("trend: %s has a value that is not a number", strconv.Quote(name))
	}
	return k, nil
}

func double(b []byte) float64 { return math.Float64frombits(binary.BigEndian.Uint64(b)) }

func isNumber(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
