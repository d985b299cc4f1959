package pipeline

import (
	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/rx/receive"
)

// Counts counts what the link itself does with records.
type Counts struct {
	Unknown    uint64 `count:"unconfigured_records" help:"Records of channels that this receiver's configuration does not name."`
	Pages      uint64 `count:"replayed_pages" help:"Pages of records that TX sent again, most of them known already."`
	Mismatches uint64 `count:"manifest_mismatches" help:"Times that a complete channel did not agree with the transmitter's manifest, and was incomplete until the next round."`
}

// Counters implements counter.Source: what the link counts, and where they count
// something its synchronizer and its medium.
func (l *Link) Counters() []counter.Set {
	l.mu.RLock()
	frames, counts := l.frames(), l.counts
	for _, c := range l.channels {
		counts.Mismatches += c.mirror.Status().Mismatches
	}
	sets := []counter.Set{counter.Of("link", "", &frames), counter.Of("link", "", &counts)}
	if s, ok := l.config.Synchronizer.(interface{ Counters() codeword.Counters }); ok {
		words := s.Counters()
		sets = append(sets, counter.Of("codeword", "", &words))
	}
	l.mu.RUnlock()
	if m, ok := l.medium.(interface{ Counts() any }); ok {
		if tagged := m.Counts(); tagged != nil {
			sets = append(sets, counter.Of("medium", "", tagged))
		}
	}
	return sets
}

// frames returns what happened to frames. The caller holds mu.
func (l *Link) frames() receive.Counts {
	c := l.opener.Counts()
	d := &l.decoded
	c.Repaired, c.Lost, c.Malformed, c.Generations = d.Repaired, d.Lost, d.Malformed, d.Generations
	return c
}
