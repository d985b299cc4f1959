package history

import "encoding/binary"

// Our own bounds.
const (
	maxValue = 1 << 20 // bytes of a value or an event
	maxNode  = 4 << 10 // bytes of a node
	maxSame  = 1024    // values of a stream at one time, one after the other, in a generation

	streamCost = 256 // about what a stream costs in memory beside its entries
)

// generation is what came since the last one was sealed. Its fields belong to the Store's lock
// until it is sealed; then nothing changes it.
type generation struct {
	number  uint64
	streams map[string]*stream // by key
	bytes   int64              // of keys and entries
	changes uint64
	longest int // changes of the stream that has most
	span    span
	pending []byte // changes for the journal
	given   uint64 // changes that the Store had been given when this generation ended
}

// stream is what came of a node, in the order of arrival.
type stream struct {
	number  uint64 // by first appearance
	key     string
	entries []byte
	coder   coder
	span    span
	same    int // entries that have the last one's time
}

func newGeneration(number uint64) *generation {
	return &generation{number: number, streams: map[string]*stream{}, span: nothing}
}

// The outcome of adding a change.
type outcome int

const (
	added outcome = iota
	duplicate
	refused
)

// add adds a change, also to what the journal is to get.
func (g *generation) add(key []byte, ticks int64, value []byte) outcome {
	s := g.streams[string(key)]
	if s != nil && s.coder.repeats(ticks, value) {
		return duplicate
	}
	if s != nil && ticks == s.coder.ticks && s.same >= maxSame {
		return refused
	}
	known := s != nil
	if !known {
		s = g.stream(key)
	}
	g.pending = binary.AppendUvarint(g.pending, s.number)
	if !known {
		g.pending = appendKey(g.pending, s.key)
	}
	from := len(s.entries)
	s.add(ticks, value)
	g.pending = append(g.pending, s.entries[from:]...)
	g.count(s, ticks, len(s.entries)-from)
	return added
}

// isFull reports whether it is time to seal it.
func (g *generation) isFull(bytes int64) bool {
	return g.bytes >= bytes || g.cost() >= maxGeneration || g.longest >= maxStream
}

// cost is what it takes in memory, in bytes, about.
func (g *generation) cost() int64 {
	return g.bytes + int64(len(g.pending)) + streamCost*int64(len(g.streams))
}

// stream makes one.
func (g *generation) stream(key []byte) *stream {
	s := &stream{number: uint64(len(g.streams)), key: string(key), span: nothing}
	g.streams[s.key] = s
	g.bytes += int64(len(key))
	return s
}

func (g *generation) count(s *stream, ticks int64, bytes int) {
	g.bytes += int64(bytes)
	g.changes++
	g.span.include(span{ticks, ticks})
	g.longest = max(g.longest, s.coder.count)
}

func (s *stream) add(ticks int64, value []byte) {
	if s.coder.count > 0 && ticks == s.coder.ticks {
		s.same++
	} else {
		s.same = 1
	}
	s.entries = s.coder.append(s.entries, ticks, value)
	s.span.include(span{ticks, ticks})
}

// replay adds the changes of a journal's record, and returns false at one that is damaged.
func (g *generation) replay(numbered *[]*stream, b []byte) bool {
	for len(b) > 0 {
		number, n := binary.Uvarint(b)
		if n <= 0 || number > uint64(len(*numbered)) {
			return false
		}
		b = b[n:]
		if number == uint64(len(*numbered)) {
			key, rest, ok := cutKey(b)
			if !ok || g.streams[string(key)] != nil {
				return false
			}
			b = rest
			*numbered = append(*numbered, g.stream(key))
		}
		s := (*numbered)[number]
		before := s.coder.ticks
		rest, ok := s.coder.next(b)
		if !ok {
			return false
		}
		entry := b[:len(b)-len(rest)]
		if b = rest; s.coder.count > 1 && before == s.coder.ticks {
			s.same++
		} else {
			s.same = 1
		}
		s.entries = append(s.entries, entry...)
		s.span.include(span{s.coder.ticks, s.coder.ticks})
		g.count(s, s.coder.ticks, len(entry))
	}
	return true
}

// The key of a stream: what it holds, and a node.
const (
	ofValues = 'v'
	ofEvents = 'e'
)

func appendKey(dst []byte, key string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(key))), key...)
}

// cutKey reads the key that b begins with.
func cutKey(b []byte) (key, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length == 0 || length > maxNode+1 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n:][:length], b[n+int(length):], true
}
