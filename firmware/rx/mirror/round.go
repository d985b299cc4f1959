package mirror

import "heliograph/firmware/conduit/record"

// round is an unbroken chain of pages. It is closed once it has come around to
// where it began.
type round struct {
	id         uint32 // of this round, rises
	since      uint32 // the first round after the last loss
	begun      bool
	begin      uint64 // creation after which the chain began
	at         uint64 // … and up to which it has come
	top        uint64 // the newest creation that it can have listed
	wrapped    bool
	complete   bool
	mismatches uint64
}

// restart abandons the round. lost is true when records were lost, so that the state
// is no longer complete.
func (r *round) restart(lost bool) {
	r.id++
	r.begun = false
	if lost {
		r.since = r.id
		r.complete = false
	}
}

// continueWith abandons the round if a page is missing before p. What p lists
// counts for the round thereafter.
func (r *round) continueWith(p *record.Page) {
	if r.begun && p.From != r.at && !(r.at == end && p.From == 0) {
		r.restart(false)
	}
}

// addPage adds a page to the chain and reports whether that closes the round.
func (r *round) addPage(p *record.Page) bool {
	if !r.begun {
		r.begun, r.begin, r.wrapped = true, p.From, false
	} else if p.From == 0 {
		r.wrapped = true
	}
	r.at = p.To
	if p.Last {
		r.at, r.top = end, p.To
	}
	return (r.wrapped && r.at >= r.begin) || (r.begin == 0 && p.Last)
}

// end is the position after a cycle's last page.
const end = ^uint64(0)

// startNext begins the next round where this one ended.
func (r *round) startNext() {
	r.complete = true
	r.restart(false)
	if r.at != end {
		r.begun, r.begin, r.wrapped = true, r.at, false
	}
}
