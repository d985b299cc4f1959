package pipeline

import "heliograph/firmware/conduit/record"

// handleRecord applies one record to its channel.
func (l *Link) handleRecord(kind record.Kind, body []byte) {
	var err error
	switch kind {
	case record.KindUpdate:
		var u record.Update
		if err = u.Parse(body); err == nil {
			l.withChannel(u.Channel, func(c *Channel) { c.mirror.Update(&u) })
		}
	case record.KindBatch:
		var b record.Batch
		if err = b.Parse(body); err == nil {
			l.withChannel(b.Channel, func(c *Channel) { err = c.mirror.Batch(&b) })
		}
	case record.KindPage:
		var p record.Page
		if err = p.Parse(body); err == nil {
			l.withChannel(p.Channel, func(c *Channel) { err = c.mirror.Page(&p) })
		}
	case record.KindManifest:
		var m record.Manifest
		if err = m.Parse(body); err == nil {
			l.withChannel(m.Channel, func(c *Channel) { c.mirror.Manifest(&m) })
		}
	case record.KindTotals:
		var t record.Totals
		if err = t.Parse(body); err == nil {
			l.withChannel(t.Channel, func(c *Channel) { c.totals++; c.mirror.Totals(&t) })
		}
	case record.KindReplay:
		err = l.handleReplay(body)
	case record.KindWindow:
		err = l.handleWindow(body)
	case record.KindHeartbeat:
		silent := l.stale()
		if err = l.heartbeats.receive(body, l.now.Sub(l.config.base), l.now); err == nil {
			if silent {
				l.awaitTotals()
			}
			l.failedAtBeat = l.opener.Counts().AuthFailed
			l.delays.add(l.heartbeats.late)
			l.ahead.Store(int64(l.heartbeats.ahead))
		}
	}
	if err != nil {
		l.decoded.Malformed++
	}
}

// awaitTotals forgets that totals came: those from now on reveal what was lost meanwhile.
func (l *Link) awaitTotals() {
	for _, c := range l.channels {
		c.totals = 0
	}
}

// withChannel calls f with the channel that has an ID.
func (l *Link) withChannel(id uint16, f func(*Channel)) {
	c := l.channels[id]
	if c == nil {
		l.counts.Unknown++
		return
	}
	c.receivedAt = l.now
	c.mirror.At(l.now.UnixNano())
	f(c)
}
