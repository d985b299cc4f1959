package receive

// window is the anti-replay window of RFC 6479, 4096 frames long. Its zero
// value accepts everything but 0.
type window struct {
	floor   uint64 // this and all below were used before
	highest uint64
	bits    [windowWords]uint64
}

const (
	windowWords = 65 // one more than is looked back on, so that a word can be cleared ahead
	windowSize  = (windowWords - 1) * 64
)

// accept reports whether seq was never accepted before, and remembers it.
func (w *window) accept(seq uint64) bool {
	if seq <= w.floor || seq+windowSize <= w.highest {
		return false
	}
	word, top := seq/64, w.highest/64
	for i := top + 1; i <= min(word, top+windowWords); i++ {
		w.bits[i%windowWords] = 0
	}
	w.highest = max(w.highest, seq)
	bit := uint64(1) << (seq % 64)
	if w.bits[word%windowWords]&bit != 0 {
		return false
	}
	w.bits[word%windowWords] |= bit
	return true
}

// full returns the 64-bit number nearest to the highest whose low bits are low.
func (w *window) full(low uint32) uint64 {
	const span = 1 << 32
	base := w.highest&^(span-1) | uint64(low)
	switch {
	case base > w.highest+span/2 && base >= span:
		return base - span
	case base+span/2 < w.highest:
		return base + span
	}
	return base
}
