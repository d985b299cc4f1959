package mirror

// Budget bounds what channels keep of keys and values, in bytes. Not safe for
// concurrent use.
type Budget struct {
	Channel, Total int // of one channel, of all that share the budget
	used           int
}

// keyOverhead is what a key costs beside its bytes, here and in a sink.
const keyOverhead = 256

// keysBeyond is the part of a budget that keys may take on top of it: a key
// without its value must not look like one that is gone.
const keysBeyond = 8

// Bound makes the channel keep within b, which other channels may share. To be
// called before anything else.
func (c *Channel) Bound(b *Budget) { c.budget = b }

// addBytes adds n bytes to what the channel keeps.
func (c *Channel) addBytes(n int) {
	c.bytes += n
	if c.budget != nil {
		c.budget.used += n
	}
}

// within reports whether there is room for n bytes more in the budget and its
// extra part.
func (c *Channel) within(n int, extra bool) bool {
	b := c.budget
	if b == nil {
		return true
	}
	channel, total := b.Channel, b.Total
	if extra {
		channel, total = channel+channel/keysBeyond, total+total/keysBeyond
	}
	return c.bytes+n <= channel && b.used+n <= total
}

// roomForKey reports whether a new key can be kept.
func (c *Channel) roomForKey(key []byte) bool {
	if c.within(len(key)+keyOverhead, true) {
		return true
	}
	c.full = true
	return false
}

// makeRoom makes room for a key's next value, and reports whether there is any: a
// value that does not fit is lost, and its key is kept without one.
func (c *Channel) makeRoom(v *value, payload int) bool {
	more := payload - len(v.payload)
	fits := more <= 0 || c.within(more, false)
	if !fits {
		more = -len(v.payload)
	}
	c.addBytes(more)
	switch {
	case fits && v.over:
		c.over--
	case !fits && !v.over:
		c.over++
	}
	v.over = !fits
	return fits
}
