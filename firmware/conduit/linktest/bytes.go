package linktest

const piece = 4096 // bytes worked on at once

// Bytes passes a chunk of a serial line through the link. It calls deliver
// once for each piece of which something is left; what deliver gets is valid
// during the call only. The chunk itself is never changed.
func (l *Link) Bytes(chunk []byte, deliver func([]byte)) {
	p := l.profile.Load()
	l.counts.bytesIn.Add(uint64(len(chunk)))
	if p.Cut {
		l.counts.cut.Add(uint64(len(chunk)))
		return
	}
	hit := hits(p.BitErrors)
	for len(chunk) > 0 {
		n := min(len(chunk), piece)
		l.line = l.line[:0]
		for _, b := range chunk[:n] {
			l.byte(b, p, &hit)
		}
		chunk = chunk[n:]
		l.counts.bytesOut.Add(uint64(len(l.line)))
		if len(l.line) > 0 {
			deliver(l.line)
		}
	}
}

func (l *Link) byte(b byte, p *Profile, hit *[8]float64) {
	if overrun := l.overruns.fraction() < p.Overruns; overrun && l.skip == 0 {
		l.counts.overruns.Add(1)
		l.skip = OverrunBytes
	}
	dropped := l.drops.fraction() < p.DropBytes
	damaged := l.noise(b, p.BitErrors, hit)
	switch {
	case l.skip > 0:
		l.skip--
	case dropped:
		l.counts.dropped.Add(1)
	default:
		l.counts.flipped.Add(ones(b ^ damaged))
		l.line = append(l.line, damaged)
	}
	if l.inserts.fraction() < p.InsertBytes {
		l.counts.inserted.Add(1)
		l.line = append(l.line, byte(l.inserts.next()))
	}
}

// hits returns, for each bit of a byte, how likely it or one before it is hit.
func hits(rate float64) (h [8]float64) {
	clean := 1.0
	for i := range h {
		clean *= 1 - rate
		h[i] = 1 - clean
	}
	return h
}

// noise flips each bit with the given chance. One draw finds the first bit
// that is hit: nearly always it is none.
func (l *Link) noise(b byte, rate float64, hit *[8]float64) byte {
	x := l.bits.fraction()
	if !(x < hit[7]) { // in this form, a rate that is NaN is no noise
		return b
	}
	first := 0
	for x >= hit[first] {
		first++
	}
	b ^= 1 << first
	for i := first + 1; i < 8; i++ {
		if l.bits.fraction() < rate {
			b ^= 1 << i
		}
	}
	return b
}

func ones(b byte) (n uint64) {
	for ; b != 0; b &= b - 1 {
		n++
	}
	return n
}
