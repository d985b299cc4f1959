package status

// Measurement is what RX measures of the link all the time, in totals since its start:
// what two of them differ by is how the link was between them.
type Measurement struct {
	Sequence                 uint64         `json:"sequence"`                   // number of the session's newest frame
	TransmitterUptimeSeconds float64        `json:"transmitter_uptime_seconds"` // of its run
	Expected                 uint64         `json:"expected"`                   // frames, by their sequence numbers
	Missing                  uint64         `json:"missing"`                    // of those, before any repair
	Late                     uint64         `json:"late"`                       // of those missing, the ones that came after all
	Bursts                   Histogram      `json:"bursts"`                     // runs of missing frames, by frames
	Classes                  []ClassRepairs `json:"classes"`                    // how much parity was needed
	Delay                    Histogram      `json:"delay"`                      // of heartbeats beyond the quickest, by seconds
}

// Histogram counts what is at most each bound and above the bound before; the last
// count, one more than there are bounds, is of what is above all.
type Histogram struct {
	Bounds []float64 `json:"bounds"`        // upper ones of its classes
	Counts []uint64  `json:"counts"`        // of each class, and one above all bounds
	Sum    *float64  `json:"sum,omitempty"` // of all that was counted; absent where that is not kept
}

// ClassRepairs is how the lanes of a class were repaired.
type ClassRepairs struct {
	Class  string    `json:"class"`  // "live" or "bulk"
	Needed Histogram `json:"needed"` // lanes that were repaired, by the parity frames that this took
	Beyond uint64    `json:"beyond"` // lanes with more missing than parity arrived
}
