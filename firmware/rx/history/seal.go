package history

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"slices"
)

// The layout of a segment; the package comment draws it.
const (
	segmentMagic   = "HGH1"
	segmentTrailer = 48
)

// Our own bounds.
const (
	chunkBytes = 32 << 10 // unpacked, at which a chunk ends
	runBytes   = 16 << 10 // at which a run ends
	maxRun     = 1024     // changes of a run
	fewAtOnce  = 16       // changes of one time that are compared with each other
)

// sealer writes the segment of a generation.
type sealer struct {
	w       io.Writer
	p       *packer
	chunk   []byte
	packed  []byte
	key     string // of the chunk's first run
	index   []byte
	written int64
	changes uint64
	bounds  span // of the chunk
	all     span
}

// span is the time that changes are from: both ends are included.
type span struct{ first, last int64 }

var nothing = span{math.MaxInt64, math.MinInt64}

func (s *span) include(t span) { s.first, s.last = min(s.first, t.first), max(s.last, t.last) }

// meets reports whether the two have a moment in common.
func (s span) meets(t span) bool { return s.first <= t.last && t.first <= s.last }

// writeSegment writes the segment of a generation that has changes.
func writeSegment(w io.Writer, p *packer, g *generation, sealed int64) (*segment, error) {
	s := &sealer{w: w, p: p, bounds: nothing, all: nothing}
	if err := s.write([]byte(segmentMagic)); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(g.streams)) {
		if err := s.stream(g.streams[key]); err != nil {
			return nil, err
		}
	}
	if err := s.endChunk(); err != nil {
		return nil, err
	}
	if err := s.write(s.index); err != nil {
		return nil, err
	}
	if err := s.write(s.trailer(sealed)); err != nil {
		return nil, err
	}
	return &segment{
		number: g.number, size: s.written, indexSize: int64(len(s.index)), changes: s.changes,
		indexCRC: crc32.Checksum(s.index, castagnoli), span: s.all, sealed: sealed,
	}, nil
}

func (s *sealer) write(b []byte) error {
	s.written += int64(len(b))
	_, err := s.w.Write(b)
	return err
}

func (s *sealer) trailer(sealed int64) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(s.index)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(s.index, castagnoli))
	for _, v := range []int64{int64(s.changes), s.all.first, s.all.last, sealed} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	return append(b, segmentMagic...)
}

// stream writes a stream as runs, oldest change first.
func (s *sealer) stream(st *stream) error {
	changes := decode(st.entries, st.coder.count, span{0, endOfTime})
	slices.SortStableFunc(changes, byTime)
	changes = dropRepeated(changes)
	var r run
	for i, c := range changes {
		r.add(c)
		if last := i == len(changes)-1; last || len(r.entries) >= runBytes || r.coder.count >= maxRun {
			if err := s.run(st.key, &r); err != nil {
				return err
			}
			r = run{}
		}
	}
	return nil
}

// run is changes of a stream, oldest first.
type run struct {
	coder   coder
	entries []byte
	span    span
}

func (r *run) add(c change) {
	if r.coder.count == 0 {
		r.span.first = c.ticks
	}
	r.span.last = c.ticks
	r.entries = r.coder.append(r.entries, c.ticks, c.value)
}

func (s *sealer) run(key string, r *run) error {
	if len(s.chunk) == 0 {
		s.key = key
	}
	s.chunk = appendKey(s.chunk, key)
	s.chunk = binary.AppendUvarint(s.chunk, uint64(r.coder.count))
	s.chunk = appendSpan(s.chunk, r.span)
	s.chunk = binary.AppendUvarint(s.chunk, uint64(len(r.entries)))
	s.chunk = append(s.chunk, r.entries...)
	s.bounds.include(r.span)
	s.changes += uint64(r.coder.count)
	if len(s.chunk) < chunkBytes {
		return nil
	}
	return s.endChunk()
}

// endChunk writes the chunk.
func (s *sealer) endChunk() error {
	if len(s.chunk) == 0 {
		return nil
	}
	s.packed = s.p.encoder.EncodeAll(s.chunk, s.packed[:0])
	b := s.packed
	if len(b) >= len(s.chunk) {
		b = s.chunk
	}
	s.index = appendKey(s.index, s.key)
	s.index = binary.AppendUvarint(s.index, uint64(len(b)))
	s.index = binary.AppendUvarint(s.index, uint64(len(s.chunk)))
	s.index = binary.BigEndian.AppendUint32(s.index, crc32.Checksum(b, castagnoli))
	s.index = appendSpan(s.index, s.bounds)
	s.all.include(s.bounds)
	s.bounds, s.chunk = nothing, s.chunk[:0]
	return s.write(b)
}

func appendSpan(dst []byte, s span) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(s.first)), uint64(s.last-s.first))
}

// change is one change of a stream.
type change struct {
	ticks int64
	value []byte
}

func byTime(a, b change) int { return cmp.Compare(a.ticks, b.ticks) }

// decode returns the changes within a span, in the order in which they are in entries. Entries that
// are damaged end it: they are under a checksum.
func decode(entries []byte, count int, within span) []change {
	changes := make([]change, 0, min(count, len(entries)))
	var c coder
	var values []byte
	for ok := true; len(entries) > 0; {
		if entries, ok = c.next(entries); !ok {
			break
		}
		if within.first <= c.ticks && c.ticks <= within.last {
			from := len(values)
			values = append(values, c.value...)
			changes = append(changes, change{c.ticks, values[from:len(values):len(values)]})
		}
	}
	return changes
}

// dropRepeated removes, from changes in the order of their times, each that is there
// once more at the same time. The first of them stays.
func dropRepeated(changes []change) []change {
	kept, many := changes[:0], map[string]bool(nil)
	from := 0 // of kept, the first at the time of the last one
	for _, c := range changes {
		if len(kept) > 0 && kept[len(kept)-1].ticks != c.ticks {
			from, many = len(kept), nil
		}
		if len(kept)-from >= fewAtOnce && many == nil {
			many = map[string]bool{}
			for _, k := range kept[from:] {
				many[string(k.value)] = true
			}
		}
		repeated := many[string(c.value)] || many == nil &&
			slices.ContainsFunc(kept[from:], func(k change) bool { return bytes.Equal(k.value, c.value) })
		if repeated {
			continue
		}
		if many != nil {
			many[string(c.value)] = true
		}
		kept = append(kept, c)
	}
	return kept
}
