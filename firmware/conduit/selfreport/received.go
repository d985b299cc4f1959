package selfreport

// Received is what the transmitter's end of the link has received since the transmitter
// started: nothing, if the link is one-way. Nil means not known.
type Received struct {
	Interface *uint64 `json:"interface,omitempty"` // packets, damaged ones included
	Socket    *uint64 `json:"socket,omitempty"`    // datagrams to the address that frames come from
	Line      *uint64 `json:"line,omitempty"`      // bytes on a serial line
	Reading   uint64  `json:"reading"`             // rises by 1 each time that the counters were read some seconds later
}

// Counts reports whether anything is counted.
func (r *Received) Counts() bool {
	return r != nil && (r.Interface != nil || r.Socket != nil || r.Line != nil)
}

// Total is what was received by any means.
func (r *Received) Total() uint64 { return known(r.Interface) + known(r.Socket) + known(r.Line) }

// Packets is how many the interface has received since before, 0 if before does not count them.
func (r *Received) Packets(before *Received) uint64 {
	if before == nil || before.Interface == nil {
		return 0
	}
	now := known(r.Interface)
	return now - min(now, known(before.Interface))
}

// ReadAfter reports whether the counters were read after what was reported at an earlier time:
// two readings are, of which the first may have been on its way.
func (r *Received) ReadAfter(earlier *Received) bool {
	return r != nil && earlier != nil && r.Reading >= earlier.Reading+2
}

// CameBack reports whether the link has carried anything to the transmitter. Over UDP its
// interface also receives packets of its neighbours, such as ARP from the near side of a
// bought diode: since before, some seconds ago, it must have received the probes of one means, or
// most of them; sent has how many there were of each.
func (r *Received) CameBack(overUDP bool, before *Received, sent []int) bool {
	switch {
	case !r.Counts():
		return false
	case !overUDP || known(r.Socket) > 0:
		return r.Total() > 0
	}
	for _, n := range sent {
		if n > 0 && r.Packets(before) >= uint64(n+1)/2 {
			return true
		}
	}
	return false
}

// known is a counter, 0 where it is left out.
func known(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}
