package mirror

import "heliograph/firmware/rx/holes"

// Counts is the account of a channel, in records.
type Counts struct {
	Delivered uint64 `shown:"channels.delivered"`
	Healed    uint64 `shown:"channels.healed"` // of Delivered, Refused and Expired, what was missing first
	Conflated uint64 `shown:"channels.conflated"`
	Lost      uint64 `shown:"channels.lost"`
	Unknown   uint64 `shown:"channels.unknown"`
	Refused   uint64 `shown:"channels.refused"` // delivered to the sink, whose peer did not take them
	Expired   uint64 `shown:"channels.expired"` // … whose time was over before the peer took them
}

// Refused moves n delivered records to those that the sink's peer did not take.
func (c *Channel) Refused(n uint64) { c.counts.Refused += c.withdraw(n) }

// Expired moves n delivered records to those whose time was over.
func (c *Channel) Expired(n uint64) { c.counts.Expired += c.withdraw(n) }

// withdraw takes n records, or all that there are, from those delivered.
func (c *Channel) withdraw(n uint64) uint64 {
	n = min(n, c.counts.Delivered)
	c.counts.Delivered -= n
	return n
}

// reached is how many records have reached the sink. It falls at a restart alone.
func (c *Counts) reached() uint64 { return c.Delivered + c.Refused + c.Expired }

// numbered is the sum of what uses up numbers.
func (c *Counts) numbered() uint64 { return c.reached() + c.Lost + c.Unknown }

// countArrival counts up to a live record's number. old reports that the number was
// passed already: the record was sent before the channel was joined, but arrived
// after.
func (c *Channel) countArrival(seq uint64) (old bool) {
	if seq < c.expect {
		return true
	}
	c.countMissing(seq)
	c.expect, c.last = seq+1, c.now
	return false
}

// countMissing counts the numbers between the last record and seq.
func (c *Channel) countMissing(seq uint64) {
	switch {
	case c.expect == 0:
		c.addHole(1, seq-1, true)
		c.expect, c.gap = seq, seq-1
		if c.repeated {
			c.holes.LoseAll()
		}
	case seq > c.expect:
		c.addHole(c.expect, seq-1, c.uncertain)
		c.expect, c.gap = seq, seq-1
		c.round.restart(true)
	}
	c.uncertain = false
}

// addHole counts numbers that did not arrive.
func (c *Channel) addHole(first, last uint64, unknown bool) {
	if last < first {
		return
	}
	if unknown {
		c.counts.Unknown += last - first + 1
	} else {
		c.counts.Lost += last - first + 1
	}
	c.holes.Add(c.epoch, first, last, unknown, c.since(), c.until())
}

// since is when the last record or totals arrived, and now before the first. It may be
// after now: the clock of a board that has just started may not be set.
func (c *Channel) since() int64 {
	if last := max(c.last, c.stated); last != 0 {
		return last
	}
	return c.now
}

// until is now, or since where that is later.
func (c *Channel) until() int64 { return max(c.now, c.last, c.stated) }

// countDelivered counts a record; old as of countArrival. It reports false for one
// that was delivered before, late.
func (c *Channel) countDelivered(seq uint64, old bool) bool {
	if !old {
		c.counts.Delivered++
		c.recent.add(c.epoch, seq)
		return true
	}
	kind := c.holes.Fill(holes.Position{Epoch: c.epoch, Number: seq})
	if kind == holes.None && c.late == None {
		kind = holes.Unknown // it was not late: nothing is
	}
	c.countFilled(c.epoch, seq, kind)
	return kind != holes.None
}

// countFilled counts a number as delivered that was missing.
func (c *Channel) countFilled(epoch, seq uint64, kind holes.Kind) {
	switch {
	case kind == holes.None || kind == holes.Stuck: // it is counted, or will be when it comes again
		return
	case kind == holes.Uncounted:
		c.earlier++
	case kind == holes.Lost && c.counts.Lost > 0, c.counts.Unknown == 0:
		c.counts.Lost -= min(c.counts.Lost, 1)
	default: // also for a lost one that a crash has made unknown
		c.counts.Unknown--
	}
	c.counts.Delivered++
	c.recent.add(epoch, seq)
}

// countValue counts a record whose value was kept, or lost for want of room; old as
// of countArrival.
func (c *Channel) countValue(seq uint64, old, kept bool) {
	switch {
	case kept:
		c.countDelivered(seq, old)
	case !old:
		c.counts.Lost++
		c.holes.Add(c.epoch, seq, seq, false, c.now, c.now)
	}
}

// countHeld counts a value whose key is not known yet.
func (c *Channel) countHeld(seq uint64, kept bool) {
	if kept {
		c.counts.Unknown++
	} else {
		c.counts.Lost++
	}
	if !kept || c.late != None { // what is held is not final
		c.holes.Add(c.epoch, seq, seq, kept, c.now, c.now)
	}
}

// countRestored counts a value that a page brings because its live record was missed.
func (c *Channel) countRestored(seq uint64) {
	p := holes.Position{Epoch: c.epoch, Number: seq}
	c.countFilled(c.epoch, seq, c.holes.Fill(p))
}

// endEpoch keeps what is still missing of the epoch before a session's.
func (c *Channel) endEpoch(epoch uint64) {
	end := c.end
	if c.epoch != 0 {
		end = holes.Position{Epoch: c.epoch, Number: max(c.expect, 1)}
	}
	c.repeated = epoch < end.Epoch || epoch == c.epoch
	switch {
	case c.repeated:
		c.holes.LoseAll()
	case epoch > end.Epoch:
		end.Number = max(end.Number, 1)
		c.holes.AddEarlier(end, epoch, c.since(), c.until())
	}
	c.epoch, c.pass, c.window.Epoch = epoch, pass{}, 0
}

// countEarlier counts records of earlier epochs that never arrived. A transmitter
// that remembers less than this receiver has lost its state.
func (c *Channel) countEarlier(stated uint64) {
	stated += c.excess
	switch {
	case stated < c.earlier:
		c.excess += c.earlier - stated
	case stated == c.earlier:
		c.holes.NoneEarlier()
	case c.exact:
		c.counts.Lost += stated - c.earlier
		c.holes.Pool(stated-c.earlier, false)
	default:
		c.counts.Unknown += stated - c.earlier
		c.holes.Pool(stated-c.earlier, true)
	}
	c.earlier = max(c.earlier, stated)
	c.exact = true
}
