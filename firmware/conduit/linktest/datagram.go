package linktest

// Datagram passes one datagram through the link, and with it those that it was
// the last to overtake. What deliver gets is valid during the call only; frame
// itself is never changed.
func (l *Link) Datagram(frame []byte, deliver func([]byte)) {
	p := l.profile.Load()
	l.counts.datagrams.Add(1)
	lost := l.loses(p) // drawn for a cut link too: what follows does not depend on the cut
	corrupt := l.corrupt.fraction() < p.Corrupt
	times := 1
	if l.duplicate.fraction() < p.Duplicate {
		times = 2
	}
	late := l.reorder.fraction() < p.Reorder
	switch {
	case p.Cut:
		l.counts.cut.Add(1)
	case lost:
		l.counts.lost.Add(1)
	default:
		if corrupt && len(frame) > 0 {
			frame = l.flip(frame, orDefault(p.MaxFlips, DefaultFlips))
		}
		if late && len(l.held) < maxHeld {
			l.release(deliver)
			l.hold(frame, 1+l.reorder.below(orDefault(p.MaxBehind, DefaultBehind)), times)
			return
		}
		l.deliver(frame, times, deliver)
	}
	l.release(deliver)
}

// Flush delivers what still waits to be overtaken, as a link does that falls idle. A
// cut link loses it.
func (l *Link) Flush(deliver func([]byte)) {
	for i := range l.held {
		l.held[i].behind = 0
	}
	l.release(deliver)
}

// loses walks the Gilbert-Elliott chain one step: all is lost in the bad state
// and nothing in the good one. A mean burst that single losses reach by chance
// needs no chain.
func (l *Link) loses(p *Profile) bool {
	x := l.loss.fraction()
	if p.Burst <= 1/(1-p.Loss) || p.Loss >= 1 {
		return x < p.Loss
	}
	leave := 1 / p.Burst
	if l.bad {
		l.bad = x >= leave
	} else {
		l.bad = x < p.Loss*leave/(1-p.Loss)
	}
	return l.bad
}

// flip returns a copy with 1 to most distinct bits flipped.
func (l *Link) flip(frame []byte, most int) []byte {
	l.counts.corrupted.Add(1)
	l.damaged = append(l.damaged[:0], frame...)
	for n := 1 + l.corrupt.below(min(most, 8*len(frame))); n > 0; {
		bit := l.corrupt.below(8 * len(frame))
		i, mask := bit/8, byte(1)<<(bit%8)
		if (l.damaged[i]^frame[i])&mask == 0 {
			l.damaged[i] ^= mask
			n--
		}
	}
	return l.damaged
}

func (l *Link) hold(frame []byte, behind, times int) {
	l.counts.reordered.Add(1)
	var data []byte
	if n := len(l.spare); n > 0 {
		data, l.spare = l.spare[n-1], l.spare[:n-1]
	}
	l.held = append(l.held, held{append(data[:0], frame...), behind, times})
}

// release lets one more datagram have overtaken those that are held.
func (l *Link) release(deliver func([]byte)) {
	kept, cut := l.held[:0], l.profile.Load().Cut
	for _, h := range l.held {
		h.behind--
		switch {
		case cut:
			l.counts.cut.Add(1)
		case h.behind > 0:
			kept = append(kept, h)
			continue
		default:
			l.deliver(h.data, h.times, deliver)
		}
		l.spare = append(l.spare, h.data)
	}
	l.held = kept
}

func (l *Link) deliver(frame []byte, times int, deliver func([]byte)) {
	if times == 2 {
		l.counts.duplicated.Add(1)
	}
	for range times {
		l.counts.delivered.Add(1)
		deliver(frame)
	}
}

func orDefault(v, otherwise int) int {
	if v > 0 {
		return v
	}
	return otherwise
}
