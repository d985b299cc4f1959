package accept

import "heliograph/firmware/conduit/selfreport"

// Reverse is the reverse probe: what RX sends towards TX does not arrive there.
type Reverse struct {
	Sent   []Means `json:"sent"`             // what left RX's interface, by each means
	Reason string  `json:"reason,omitempty"` // why nothing was sent, or what else is not proved
	Cure   string  `json:"cure,omitempty"`   // of the reason, where it is known
	// OneMachine is that the link goes over the loopback, where nothing is one-way
	OneMachine bool `json:"one_machine,omitempty"`
	// Left is how many packets the kernel counts as sent by RX's interface meanwhile
	Left  *uint64 `json:"left,omitempty"`
	Known bool    `json:"known"` // TX's counters crossed, and were read after the last probe
	// What TX's end has received: since TX started, before the probe, and after it
	Before *Receipt `json:"before,omitempty"`
	After  *Receipt `json:"after,omitempty"`
}

// Means is one kind of probe.
type Means struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
	Error string `json:"error,omitempty"` // of the first one that did not leave
}

// Receipt is what TX reports of its end of the link.
type Receipt = selfreport.Received

// sum adds up what was received by any means.
func sum(r *Receipt) uint64 { return known(r.Interface) + known(r.Socket) + known(r.Line) }

// counts says whether TX counts anything.
func counts(r *Receipt) bool {
	return r != nil && (r.Interface != nil || r.Socket != nil || r.Line != nil)
}

// probes is how many have left.
func (r *Reverse) probes() (n int) {
	for _, m := range r.Sent {
		n += m.Count
	}
	return n
}

// Newer says whether TX's counters in a sample were read after another sample: two readings
// are, of which the first may have been on its way.
func Newer(before, now *Sample) bool {
	a, b := before.TX.Received, now.TX.Received
	return a != nil && b != nil && before.Link.Epoch == now.Link.Epoch && b.Reading >= a.Reading+2
}
