package mirror

// Counts is the account of a channel, in records.
type Counts struct {
	Delivered uint64 `shown:"channels.delivered"`
	Conflated uint64 `shown:"channels.conflated"`
	Lost      uint64 `shown:"channels.lost"`
	Unknown   uint64 `shown:"channels.unknown"`
	Refused   uint64 `shown:"channels.refused"` // delivered to the sink, whose peer did not take them
	Expired   uint64 `shown:"channels.expired"` // … whose time was over before the peer took them
}

// Refused moves n delivered records to those that the sink's peer did not take.
func (c *Channel) Refused(n uint64) {
	n = min(n, c.counts.Delivered)
	c.counts.Delivered -= n
	c.counts.Refused += n
}

// Expired moves n delivered records to those whose time was over.
func (c *Channel) Expired(n uint64) {
	n = min(n, c.counts.Delivered)
	c.counts.Delivered -= n
	c.counts.Expired += n
}

// numbered is the sum of what uses up numbers.
func (c *Counts) numbered() uint64 { return c.Delivered + c.Refused + c.Expired + c.Lost + c.Unknown }

// countArrival counts up to a live record's number. wasUnknown reports that the
// record is counted as unknown: it was sent before the channel was joined, but
// arrived after.
func (c *Channel) countArrival(seq uint64) (wasUnknown bool) {
	if seq < c.expect {
		return true
	}
	c.countMissing(seq)
	c.expect = seq + 1
	return false
}

// countMissing counts the numbers between the last record and seq.
func (c *Channel) countMissing(seq uint64) {
	switch {
	case c.expect == 0:
		c.joined = seq - 1
		c.counts.Unknown += seq - 1
		c.expect, c.gap = seq, seq-1
	case seq > c.expect:
		if c.uncertain {
			c.counts.Unknown += seq - c.expect
			c.joined = seq - 1
		} else {
			c.counts.Lost += seq - c.expect
		}
		c.expect, c.gap = seq, seq-1
		c.round.restart(true)
	}
	c.uncertain = false
}

// countDelivered counts a record; wasUnknown as of countArrival.
func (c *Channel) countDelivered(wasUnknown bool) {
	c.counts.Delivered++
	if wasUnknown {
		c.counts.Unknown -= min(c.counts.Unknown, 1)
	}
}

// countValue counts a record whose value was kept, or lost for want of room;
// wasUnknown as of countArrival.
func (c *Channel) countValue(wasUnknown, kept bool) {
	switch {
	case kept:
		c.countDelivered(wasUnknown)
	case !wasUnknown:
		c.counts.Lost++
	}
}

// countRestored counts a value that a page brings because its live record was missed.
func (c *Channel) countRestored(seq uint64) {
	switch {
	case seq <= c.settled:
		return
	case seq <= c.joined:
		c.counts.Unknown -= min(c.counts.Unknown, 1)
	default:
		c.counts.Lost -= min(c.counts.Lost, 1)
	}
	c.counts.Delivered++
}

// countEarlier counts records of earlier epochs that never arrived. A transmitter
// that remembers less than this receiver has lost its state.
func (c *Channel) countEarlier(stated uint64) {
	stated += c.excess
	switch {
	case stated < c.earlier:
		c.excess += c.earlier - stated
	case c.exact:
		c.counts.Lost += stated - c.earlier
		c.earlier = stated
	default:
		c.counts.Unknown += stated - c.earlier
		c.earlier = stated
	}
	c.exact = true
}

// Account is what a run hands on to the next.
type Account struct {
	Counts
	Before  uint64 // of Conflated, what earlier epochs contributed
	Next    uint64 // sequence number; 0: nothing of the channel arrived in this epoch
	Earlier uint64 // records of earlier epochs
	Excess  uint64 // of them, what the transmitter does not remember
	Gap     bool   // some of an earlier run's account is missing, and no totals since then had its number

	// Volatile is how many of Delivered a crash would lose in the sink, where they
	// wait for its peer. The caller of Channel.Account sets it.
	Volatile uint64 `json:",omitzero"`
}

// Account returns the account as it stands.
func (c *Channel) Account() Account {
	return Account{
		Counts: c.Status().Counts, Before: c.before, Next: c.expect, Earlier: c.earlier, Excess: c.excess,
		Gap: !c.exact,
	}
}

// Resume takes over the account of an earlier run, before the first Begin. exact
// is false after a crash: the run may have delivered more than it remembered, and
// what of it was volatile may be gone.
func (c *Channel) Resume(a Account, exact bool) {
	c.counts, c.before, c.excess = a.Counts, a.Conflated, a.Excess
	if !exact {
		gone := min(a.Volatile, c.counts.Delivered)
		c.counts.Delivered -= gone
		c.counts.Unknown += gone
	}
	c.earlier = c.counts.numbered() + c.before
	c.exact = exact && !a.Gap
}

// Continue takes over the account of a run that Resume was called with, and that
// was of this very epoch, right after Begin.
func (c *Channel) Continue(a Account, exact bool) {
	c.before, c.earlier, c.exact = a.Before, a.Earlier, !a.Gap
	c.expect, c.settled, c.uncertain = a.Next, max(a.Next, 1)-1, !exact
}
