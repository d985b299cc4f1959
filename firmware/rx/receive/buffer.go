package receive

// copyOf returns a copy of a shard.
func (d *Decoder) copyOf(shard []byte) []byte { return append(d.takeBuffer(len(shard))[:0], shard...) }

func (d *Decoder) takeBuffer(size int) []byte {
	if n := len(d.free); n > 0 {
		if b := d.free[n-1]; cap(b) >= size {
			d.free = d.free[:n-1]
			return b[:size]
		}
	}
	return make([]byte, size, max(size, bufferSize))
}

// bufferSize holds any shard, so that buffers can be used again for any other.
const bufferSize = 1536

// recycle takes back the buffers of a generation.
func (d *Decoder) recycle(g *generation) {
	if g == nil {
		return
	}
	for _, s := range g.shards {
		d.putBuffer(s)
	}
	for i := range g.lanes {
		for _, s := range g.lanes[i].rows {
			d.putBuffer(s)
		}
	}
}

func (d *Decoder) putBuffer(s []byte) {
	if cap(s) >= bufferSize && len(d.free) < 2*maxSources {
		d.free = append(d.free, s)
	}
}

// trim removes the zeros by which a medium of fixed frame sizes padded a shard, as
// far as they are beyond the coded size. It returns nil when there is anything
// else, which parity does not cover.
func trim(s []byte, size int) []byte {
	for _, b := range s[min(size, len(s)):] {
		if b != 0 {
			return nil
		}
	}
	return s[:min(size, len(s))]
}

// pad fills a shard up with zeros.
func pad(s []byte, size int) []byte {
	if cap(s) < size {
		return append(s, make([]byte, size-len(s))...)
	}
	n := len(s)
	s = s[:size]
	clear(s[n:])
	return s
}
