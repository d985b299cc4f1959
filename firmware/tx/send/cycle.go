package send

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// cycle is the progress of the carousel: the pages of one channel after the other,
// each channel's part closed by its manifest.
type cycle struct {
	active  bool
	next    time.Time // when the next one may begin
	channel int
	from    uint64 // the channel's keys that were created up to it were sent
	listed  bool   // all its pages were sent, the manifest was not
}

// begin reports whether there is something to send, beginning a cycle if it is time.
func (c *cycle) begin(now time.Time) bool {
	if !c.active && !now.Before(c.next) {
		*c = cycle{active: true, next: now.Add(cycleEvery)}
	}
	return c.active
}

// carousel fills the frame with pages.
func (f *filler) carousel() {
	f.continued()
	m := f.mux
	cy := &m.cycle
	for f.class.pieces.body == nil && f.space() >= 2*minPiece {
		if cy.channel == len(m.channels) {
			cy.active = false
			return
		}
		c := m.channels[cy.channel]
		if cy.listed || c.table.Len() == 0 {
			mf := c.table.Manifest(c.id, c.seq, c.partial)
			m.scratch = mf.Append(m.scratch[:0])
			f.item(record.KindManifest, m.scratch, nil, nil)
			cy.channel, cy.from, cy.listed = cy.channel+1, 0, false
			continue
		}
		room := f.space() - record.ItemOverhead(f.space())
		m.scratch, cy.from, cy.listed = c.table.AppendPage(m.scratch[:0], c.id, c.seq, cy.from, room)
		f.item(record.KindPage, m.scratch, nil, nil)
	}
}
