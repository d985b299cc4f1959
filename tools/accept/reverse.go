package accept

import (
	"cmp"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/platform/machine"
)

// Reverse is the reverse probe: what RX sends towards TX does not arrive there.
type Reverse struct {
	Sent   []Means `json:"sent"`             // what left RX's interface, by each means
	Reason string  `json:"reason,omitempty"` // why nothing was sent, or what else is not proved
	Cure   string  `json:"cure,omitempty"`   // of the reason, where it is known
	// Limit is what the probe of a board does not prove, as RX says: not all was sent, or no wire
	// carries it
	Limit string `json:"limit,omitempty"`
	// OneMachine is that the link goes over the loopback, where nothing is one-way
	OneMachine bool `json:"one_machine,omitempty"`
	// Left is how many packets the kernel counts as sent by RX's interface meanwhile
	Left  *uint64 `json:"left,omitempty"`
	Known bool    `json:"known"` // TX's counters crossed, and were read after the last probe
	// What TX's end has received: since TX started, before the probe, and after it
	Before *Receipt `json:"before,omitempty"`
	After  *Receipt `json:"after,omitempty"`

	proofs []Proof // of RX: after the last probe, and with what TX counted later
}

// Means is one kind of probe.
type Means = machine.Means

// Receipt is what TX reports of its end of the link.
type Receipt = selfreport.Received

// probes is how many have left.
func (r *Reverse) probes() (n int) {
	for _, m := range r.Sent {
		n += m.Count
	}
	return n
}

// unsent is why no probe was sent.
func (r *Reverse) unsent() string {
	why := cmp.Or(r.Reason, r.Limit)
	for _, m := range r.Sent {
		why = cmp.Or(why, m.Error)
	}
	return why
}

// Newer says whether TX's counters in a sample were read after another sample.
func Newer(before, now *Sample) bool {
	return before.Link.Epoch == now.Link.Epoch && now.TX.Received.ReadAfter(before.TX.Received)
}

// Counted puts in what TX counts: before the probe, and in a sample that came some seconds after
// the one that was taken when the last probe was sent. What RX's board has sent meanwhile is in that one: a board
// alone sends on its link. All three are of one run of TX, or what it counts is not known.
func (r *Reverse) Counted(before, sent, now *Sample) {
	if p := sent.Probe; p != nil {
		r.Sent, r.Left, r.Limit = nil, nil, ""
		if !p.Time.IsZero() && (before.Probe == nil || !p.Time.Equal(before.Probe.Time)) {
			r.Sent, r.Left, r.Limit = p.Sent, p.Left, p.Reason
		}
	}
	r.Before, r.After = before.TX.Received, now.TX.Received
	r.Known = r.Before.Counts() && before.Link.Epoch == sent.Link.Epoch && Newer(sent, now)
	r.proofs = proofs(sent, now)
}
