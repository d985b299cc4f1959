package status

import (
	"strings"
	"time"

	"heliograph/firmware/platform/audit"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/task"
)

// Snapshot is how a role stands at one moment. Its JSON form is /status.json;
// the names are a contract with everybody's scripts: keys are added, never
// changed.
type Snapshot struct {
	Role          string             `json:"role"`                   // "tx" or "rx"
	Pair          string             `json:"pair"`                   // name of the pair
	Version       string             `json:"version"`                // of the program
	UptimeSeconds float64            `json:"uptime_seconds"`         // since the role started
	Clock         string             `json:"clock,omitempty"`        // "unset", "ntp", "link" …
	ClockSet      *bool              `json:"clock_set,omitempty"`    // of TX; nil: not known
	ClockCause    cause.Cause        `json:"clock_cause,omitzero"`   // why it is not set
	Trust         *Trust             `json:"trust,omitempty"`        // see Observer
	Ready         bool               `json:"ready"`                  // when nothing is missing
	Reasons       []string           `json:"reasons"`                // why not ready
	NotReady      task.Reasons       `json:"not_ready,omitempty"`    // the same, each with its cause
	Refused       []string           `json:"refused,omitempty"`      // faults of a configuration that a board does not run
	Channels      map[string]Channel `json:"channels"`               // by name
	Link          Link               `json:"link"`                   // of the one-way link
	Measurement   *Measurement       `json:"measurement,omitempty"`  // RX: of the link, since the start
	Replay        *Replay            `json:"replay,omitempty"`       // nil: what has left is not sent again
	Boards        []Board            `json:"boards"`                 // of TX and RX, at RX; this one, at TX
	Clients       []Client           `json:"clients"`                // of this role's servers, the newest 50, newest first
	ClientsMore   int                `json:"clients_more,omitempty"` // connected besides those listed
	Peers         []Peer             `json:"peers"`                  // sources and sinks of this role
	Transmitter   map[string]string  `json:"transmitter,omitempty"`  // RX: what the other board says of itself
	Release       *release.Running   `json:"release,omitempty"`      // what a board runs
	Disk          *disk.Usage        `json:"disk,omitempty"`         // of the state; nil: not known
	Counters      []counter.Set      `json:"counters"`               // of the parts of this role
	Certificates  []Certificate      `json:"certificates"`           // of this board, and at RX of the other
	Notes         []Note             `json:"notes"`                  // of both boards on RX, newest last
	Telemetry     *Telemetry         `json:"telemetry,omitempty"`    // nil: metrics are not exported
}

// SetReady fills Ready and Reasons from a role's readiness.
func (s *Snapshot) SetReady(reasons task.Reasons) {
	s.Ready, s.Reasons, s.NotReady = len(reasons) == 0, reasons.Lines(), reasons
}

// Channel is one channel's counters of records, and its state. TX fills Sent
// and Dropped, RX the others; what a role does not know stays nil and is left
// out, so that no zero is shown for "unknown".
type Channel struct {
	Protocol string  `json:"protocol,omitempty"` // "opcua", "mqtt", "syslog"
	Sent     *uint64 `json:"sent,omitempty"`     // records that TX sent
	// RX: records that reached their sink; those that its peer does not have yet are in peers[].spool
	Delivered *uint64 `json:"delivered,omitempty"`
	// RX: of Delivered, those that were missing before
	Healed     *uint64 `json:"healed,omitempty"`
	HealedEver *uint64 `json:"-"`                   // of those that were refused or expired since, too
	Conflated  *uint64 `json:"conflated,omitempty"` // records replaced by a newer value before they were delivered
	Lost       *uint64 `json:"lost,omitempty"`      // records that are missing now
	// RX: sent while this receiver could not follow what became of it
	Unknown *uint64 `json:"unknown,omitempty"`
	// RX: the sink's peer did not take them; TX: the link did not
	Refused       *uint64 `json:"refused,omitempty"`
	RefusedReason string  `json:"refused_reason,omitempty"` // TX: how many of Refused for which reason, in words
	Expired       *uint64 `json:"expired,omitempty"`        // RX: their time was over before the peer took them
	Dropped       *uint64 `json:"dropped,omitempty"`        // TX: events that a full queue dropped
	// lines, messages and events that were lost before TX's link; Sent has none of them
	Missed       *uint64  `json:"missed,omitempty"`
	MissedReason string   `json:"missed_reason,omitempty"`  // how many of Missed are what, in words
	Complete     *bool    `json:"complete,omitempty"`       // RX: whether it holds all state
	Rate         *float64 `json:"rate,omitempty"`           // records a second of late, that reached the sink at RX or were sent at TX
	AgeSeconds   *float64 `json:"age_seconds,omitempty"`    // since the newest record
	QueuedBytes  *uint64  `json:"queued_bytes,omitempty"`   // TX: of records that wait for the line
	Keys         *uint64  `json:"keys,omitempty"`           // live state
	StateBytes   *uint64  `json:"state_bytes,omitempty"`    // TX: that they take, of what [memory] lets them
	Valueless    *uint64  `json:"valueless_keys,omitempty"` // RX: of Keys, those whose values [memory] has no room for
	SourceState  string   `json:"source_state"`             // "connecting", "up", "down"
	SourceReason string   `json:"source_reason"`            // why it is not up
	// why it is not up, for programs
	SourceCause cause.Cause `json:"source_cause,omitzero"`
	Holes       []Hole      `json:"holes,omitzero"`         // RX: the newest MaxHoles, newest first; not nil
	OpenHoles   *uint64     `json:"open_holes,omitempty"`   // RX: all that can still heal
	OpenRecords *uint64     `json:"open_records,omitempty"` // RX: of Lost and Unknown, those in open holes
}

// reached is how many records have reached the sink at RX, nil where it is not known. It only
// rises while the role runs: what is refused or expires is taken off Delivered.
func (c *Channel) reached() *uint64 {
	if c.Delivered == nil {
		return nil
	}
	n := *c.Delivered
	for _, since := range []*uint64{c.Refused, c.Expired} {
		if since != nil {
			n += *since
		}
	}
	return &n
}

// Link is the one-way link's counters of frames.
type Link struct {
	Medium string `json:"medium"`          // "uart", "ethernet", "udp"
	State  string `json:"state,omitempty"` // in words, "" when all is well
	// of UDP over this machine's loopback: both ends are on one machine, where nothing is one-way
	Loopback bool `json:"loopback,omitempty"`
	// of what State says, for programs
	Cause                   cause.Cause `json:"cause,omitzero"`
	Epoch                   uint64      `json:"epoch,omitempty"`                      // number of the run of TX
	Frames                  uint64      `json:"frames"`                               // sent by TX, accepted by RX
	Bytes                   uint64      `json:"bytes"`                                // of those frames
	CRCErrors               *uint64     `json:"crc_errors,omitempty"`                 // RX: frames damaged on the way
	AuthFailures            *uint64     `json:"auth_failures,omitempty"`              // RX: frames of another key, or forged
	Replayed                *uint64     `json:"replayed,omitempty"`                   // RX: frames seen before
	Repaired                *uint64     `json:"repaired,omitempty"`                   // RX: frames restored from parity
	Lost                    *uint64     `json:"lost,omitempty"`                       // RX: frames beyond repair
	Dropped                 *uint64     `json:"dropped,omitempty"`                    // RX: by the kernel, because this program was too slow
	LastHeartbeatAgeSeconds *float64    `json:"last_heartbeat_age_seconds,omitempty"` // RX: since the last one
	// RX: how much later than the quickest one of late heartbeats came, over two minutes and in
	// whole milliseconds; the least delay of a link that is one-way cannot be measured
	LatencyP50Seconds *float64 `json:"latency_p50_seconds,omitempty"`
	// RX: the same, of which one in a hundred was above it
	LatencyP99Seconds *float64 `json:"latency_p99_seconds,omitempty"`
}

// Peer is one source or sink as seen from this role.
type Peer struct {
	Channel string      `json:"channel"`           // its name
	Name    string      `json:"name"`              // as in logs: "mqtt sink cell-1"
	State   string      `json:"state"`             // "connecting", "up", "down"
	Reason  string      `json:"reason,omitempty"`  // why it is not up
	Address string      `json:"address,omitempty"` // where it is, or listens
	Cause   cause.Cause `json:"cause,omitzero"`    // of what Reason says, for programs
	Spool   *Spool      `json:"spool,omitempty"`   // what waits for it
}

// Telemetry is the export of metrics to an OpenTelemetry collector.
type Telemetry struct {
	Endpoint string `json:"endpoint"`         // of the collector
	State    string `json:"state"`            // "connecting", "up", "down"
	Reason   string `json:"reason,omitempty"` // why the last export failed
}

// Spool is what waits on disk for a peer that is away.
type Spool struct {
	Bytes   int64  `json:"bytes"`   // on the disk
	Limit   int64  `json:"limit"`   // bytes that may wait
	Records int    `json:"records"` // that wait
	Dropped uint64 `json:"dropped"` // records, since the start
	Damaged uint64 `json:"damaged"` // records that damaged files had, since the start
	// files that could not be read after a crash, since the start; how many records they hold is not known
	Unreadable uint64 `json:"unreadable"`
	Gaps       uint64 `json:"gaps"`            // times that records may be missing, an unknown number
	Fault      string `json:"fault,omitempty"` // why the disk is not used, "" while it is
}

// Certificate is one that a board uses or trusts.
type Certificate struct {
	Board    string    `json:"board"`     // "tx" or "rx"
	Name     string    `json:"name"`      // whose it is
	Expires  time.Time `json:"expires"`   // when it ends
	DaysLeft int       `json:"days_left"` // whole ones; negative: it has ended. See Observer
	// SHA-1, of the own certificate of OPC UA alone: with its key RX signs what it measures
	Thumbprint string `json:"thumbprint,omitempty"`
}

// Near reports whether the certificate has ended, or ends within 30 days.
func (c Certificate) Near() bool { return time.Until(c.Expires) < 30*24*time.Hour }

// Compare orders certificates by board and name.
func (c Certificate) Compare(o Certificate) int {
	return strings.Compare(c.Board+"/"+c.Name, o.Board+"/"+o.Name)
}

// Note is an entry of the audit trail.
type Note = audit.Event

// Of returns a pointer to v, for the fields that may be unknown.
func Of[T any](v T) *T { return &v }
