package mirror

import "heliograph/firmware/conduit/record"

// Page takes a page of the carousel.
func (c *Channel) Page(p *record.Page) error {
	if c.expect == 0 {
		c.reach(p.Seq + 1) // live records up to p.Seq may still be on their way
	}
	counts, round := p.Seq >= c.gap, uint32(0)
	if counts {
		c.round.follow(p)
		round = c.round.id
	}
	err := p.Entries(func(e *record.Entry) { c.entry(p, e, round) })
	if err != nil {
		return err
	}
	for key, g := range c.graves {
		if g.seq <= p.Seq && g.born > p.From && g.born <= p.To {
			delete(c.graves, key)
		}
	}
	if counts && c.round.page(p) {
		c.close()
	}
	return nil
}

// entry takes what a page says of a key; round is the one that it counts for, or 0.
func (c *Channel) entry(p *record.Page, e *record.Entry, round uint32) {
	v := c.keys[string(e.Key)]
	if v != nil {
		v.round = max(v.round, round)
	}
	if v != nil && v.seq >= e.Seq || e.Created >= c.expect {
		return // known, or its live record is still on its way, or will be found lost
	}
	if v == nil {
		if g, dead := c.graves[string(e.Key)]; dead && g.seq > p.Seq {
			return // the page is older than the deletion
		}
		if !c.roomFor(e.Key) {
			return // its live record counts as lost
		}
		v = c.add(e.Key)
		v.round = round
	}
	c.bind(v, e.Created)
	h, held := c.held.take(e.Created)
	switch {
	case held && (h.Seq >= e.Seq || e.Seq >= c.expect):
		kept := c.fit(v, len(h.Payload))
		c.came(true, kept)
		c.set(v, &h, false, kept)
	case e.Seq < c.expect:
		kept := c.fit(v, len(e.Payload))
		if kept {
			c.late(e.Seq)
		}
		c.set(v, e, false, kept)
	}
}

// late accounts for a value that a page brings, its live record having been missed.
func (c *Channel) late(seq uint64) {
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

// close ends a round: what it has not heard of is gone.
func (c *Channel) close() {
	if c.totals.Partial || !c.heard {
		c.round.restart(false)
		return
	}
	for _, v := range c.keys {
		if v.round != c.round.id && v.born <= c.round.top {
			c.remove(v)
			c.deliver(Update{Key: []byte(v.key), Delete: true})
		}
	}
	c.held.drop()
	c.round.closed()
}

// Manifest takes the statement that closes the channel's part of a cycle.
func (c *Channel) Manifest(m *record.Manifest) {
	if c.expect == 0 {
		c.reach(m.Seq + 1)
	}
	if c.changed > m.Seq || c.expect <= m.Seq {
		return // the sets are of different times
	}
	if m.Keys == 0 && !m.Partial {
		c.totals.Partial, c.heard = false, true
		c.round.top = m.Seq
		c.close() // there are no pages to wait for
	}
	if c.round.complete && (uint64(len(c.keys)) != m.Keys || c.hash != m.Hash) {
		c.round.restart(true)
		c.round.mismatches++
	}
}

// Totals takes the transmitter's own account.
func (c *Channel) Totals(t *record.Totals) {
	c.reach(t.Seq + 1)
	c.reachEarlier(t.Earlier)
	if t.Partial && !c.totals.Partial {
		c.round.restart(false)
	}
	c.totals, c.heard = *t, true
}

// reachEarlier accounts for records of earlier epochs that were never heard of.
// A transmitter that remembers less than this receiver has lost its state.
func (c *Channel) reachEarlier(stated uint64) {
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
