package machine

import "time"

// Probe is the newest reverse probe that PID 1 of a receiving board has sent: what RX sends
// towards TX does not arrive there.
type Probe struct {
	Key    string    `json:"key"`              // of the board's console, which has one sent
	Time   time.Time `json:"time,omitzero"`    // when it began; left out: none since the board started
	Sent   []Means   `json:"sent,omitempty"`   // by each means
	Left   *uint64   `json:"left,omitempty"`   // packets that the link's interface has sent meanwhile, as the kernel counts
	Reason string    `json:"reason,omitempty"` // why none was sent, or what it does not prove
	// what TX's end has received since TX started (packets, datagrams, bytes), read after the probe
	Received *uint64 `json:"received,omitempty"`
	CameBack bool    `json:"came_back,omitempty"` // the link has carried something to TX: it is not one-way
}

// Means is one kind of probe.
type Means struct {
	Name  string `json:"name"`            // "ARP request"
	Count int    `json:"count"`           // that left
	Error string `json:"error,omitempty"` // of the first one that did not leave
}

// Total is how many probes have left.
func (p *Probe) Total() (n int) {
	for _, m := range p.Sent {
		n += m.Count
	}
	return n
}

// Received is what the transmitting end of a link has received since the board started, as the
// kernel counts: nothing, if the link is one-way.
type Received struct {
	Interface *uint64 `json:"interface,omitempty"` // packets, damaged ones included
	Socket    *uint64 `json:"socket,omitempty"`    // datagrams to the address that frames come from
	Line      *uint64 `json:"line,omitempty"`      // bytes on a serial line
	Reading   uint64  `json:"reading"`             // rises by 1 every other second, when PID 1 reads the counts
}
