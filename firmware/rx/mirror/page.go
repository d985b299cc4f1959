package mirror

import "heliograph/firmware/conduit/record"

// Page applies a page of the carousel.
func (c *Channel) Page(p *record.Page) error {
	if c.expect == 0 {
		c.countMissing(p.Seq + 1) // live records up to p.Seq may still be on their way
	}
	c.tombstones.removeUpTo(p.Seq)
	if p.Seq < c.tombstones.forgotten {
		return nil // as if it had not arrived
	}
	current, round := p.Seq >= c.gap, uint32(0)
	if current { // a page older than the last gap makes nothing complete
		c.round.continueWith(p)
		round = c.round.id
	}
	err := p.Entries(func(e *record.Entry) { c.applyEntry(p, e, round) })
	if err != nil {
		return err
	}
	if current && c.round.addPage(p) {
		c.closeRound()
	}
	return nil
}

// applyEntry applies a page's entry; round is the one that it counts for, or 0.
func (c *Channel) applyEntry(p *record.Page, e *record.Entry, round uint32) {
	v := c.keys[string(e.Key)]
	if v != nil {
		v.round = max(v.round, round)
	}
	if v != nil && (v.seq > e.Seq || v.seq == e.Seq && !v.over) || e.Created >= c.expect {
		// Known, or its live record is still on its way, or will be found lost. A value that had no
		// room may have it now.
		return
	}
	if v == nil {
		if c.tombstones.has(e.Key) {
			return // the page is older than the deletion
		}
		if !c.roomForKey(e.Key) {
			return // its live record counts as lost
		}
		v = c.addKey(e.Key)
		v.round = round
	}
	c.setCreated(v, e.Created)
	h, found := c.held.remove(e.Created)
	switch {
	case found && (h.Seq >= e.Seq || e.Seq >= c.expect):
		kept := c.makeRoom(v, len(h.Payload))
		c.countValue(h.Seq, true, kept)
		c.setValue(v, &h, false, kept)
	case e.Seq < c.expect:
		kept := c.makeRoom(v, len(e.Payload))
		if kept {
			c.countRestored(e.Seq)
		}
		c.setValue(v, e, false, kept)
	}
}

// closeRound ends a round: keys that it did not list are gone.
func (c *Channel) closeRound() {
	if c.totals.Partial || !c.totalsSeen {
		c.round.restart(false)
		return
	}
	for _, v := range c.keys {
		if v.round != c.round.id && v.created <= c.round.top {
			c.removeKey(v)
			c.deliver(Update{Key: []byte(v.key), Delete: true})
		}
	}
	c.held.clear()
	c.round.startNext()
}

// Manifest applies the statement that closes the channel's part of a cycle.
func (c *Channel) Manifest(m *record.Manifest) {
	if c.expect == 0 {
		c.countMissing(m.Seq + 1)
	}
	c.tombstones.removeUpTo(m.Seq) // a channel without keys has no pages
	if c.changed > m.Seq || c.expect <= m.Seq {
		return // the sets are of different times
	}
	if m.Keys == 0 && !m.Partial {
		c.totals.Partial, c.totalsSeen = false, true
		c.round.top = m.Seq
		c.closeRound() // there are no pages to wait for
	}
	if c.round.complete && (uint64(len(c.keys)) != m.Keys || c.hash != m.Hash) {
		c.round.restart(true)
		c.round.mismatches++
	}
}

// Totals applies the transmitter's own account.
func (c *Channel) Totals(t *record.Totals) {
	c.countMissing(t.Seq + 1)
	c.countEarlier(t.Earlier)
	if t.Partial && !c.totals.Partial {
		c.round.restart(false)
	}
	c.totals, c.totalsSeen, c.stated = *t, true, c.now
}
