package watch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Levels of trust. The first three are those that a board says.
const (
	Yes      = "yes"
	Partly   = "partly"
	No       = "no"
	NoAnswer = "no answer"
)

// Status is what is read of a board's /status.json. Older versions leave out some of
// it; what a newer one adds is not read.
type Status struct {
	Role          string             `json:"role"`
	Pair          string             `json:"pair"`
	Version       string             `json:"version"`
	UptimeSeconds float64            `json:"uptime_seconds"`
	Clock         string             `json:"clock"`
	Reasons       []string           `json:"reasons"`
	Channels      map[string]Channel `json:"channels"`
	Link          Link               `json:"link"`
	Replay        *Replay            `json:"replay"`
	Peers         []Peer             `json:"peers"`
	Certificates  []Certificate      `json:"certificates"`
	Trust         *Trust             `json:"trust"`  // nil: a version that does not judge itself
	Boards        []Board            `json:"boards"` // at RX both
	Clients       []Client           `json:"clients"`
	ClientsMore   int                `json:"clients_more"`
}

// Channel is a channel of a board.
type Channel struct {
	Protocol     string   `json:"protocol"`
	Sent         *uint64  `json:"sent"`
	Delivered    *uint64  `json:"delivered"`
	Conflated    *uint64  `json:"conflated"`
	Lost         *uint64  `json:"lost"`
	Unknown      *uint64  `json:"unknown"`
	Dropped      *uint64  `json:"dropped"`
	Healed       *uint64  `json:"healed"`
	Complete     *bool    `json:"complete"`
	AgeSeconds   *float64 `json:"age_seconds"`
	SourceState  string   `json:"source_state"`
	SourceReason string   `json:"source_reason"`
	OpenHoles    uint64   `json:"open_holes"`
	OpenRecords  uint64   `json:"open_records"`
	Rate         *float64 `json:"rate"` // records a second
}

// Link is the one-way link as a board sees it.
type Link struct {
	Medium       string   `json:"medium"`
	State        string   `json:"state"` // "" when all is well
	Frames       uint64   `json:"frames"`
	CRCErrors    *uint64  `json:"crc_errors"`
	AuthFailures *uint64  `json:"auth_failures"`
	Repaired     *uint64  `json:"repaired"`
	Lost         *uint64  `json:"lost"`
	Dropped      *uint64  `json:"dropped"`
	Heartbeat    *float64 `json:"last_heartbeat_age_seconds"`
}

// Replay is which outages heal.
type Replay struct {
	WindowSeconds float64  `json:"window_seconds"`
	PassSeconds   *float64 `json:"pass_seconds"`
}

// Peer is a source or sink.
type Peer struct {
	Channel string `json:"channel"`
	Name    string `json:"name"`
	State   string `json:"state"`
	Reason  string `json:"reason"`
	Address string `json:"address"`
	Spool   *Spool `json:"spool"`
}

// Spool is what waits for a sink.
type Spool struct {
	Records int    `json:"records"`
	Dropped uint64 `json:"dropped"`
}

// Certificate is one that a board uses or trusts.
type Certificate struct {
	Board   string    `json:"board"`
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

// Trust is a board's own judgement.
type Trust struct {
	Level    string    `json:"level"`
	Sentence string    `json:"sentence"`
	Since    time.Time `json:"since"`
	Reasons  []Reason  `json:"reasons"`
}

// Reason is why the level is not Yes.
type Reason struct {
	Channel string    `json:"channel,omitempty"` // "": the link, or the board
	Text    string    `json:"text"`
	Since   time.Time `json:"since,omitzero"`
}

// Board is what a board says of itself.
type Board struct {
	Role          string   `json:"role"`
	Name          string   `json:"name"`
	Version       string   `json:"version"`
	UptimeSeconds *float64 `json:"uptime_seconds"`
	Clock         string   `json:"clock"`
	Temperature   *float64 `json:"temperature_celsius"`
	Supply        string   `json:"supply"`
	Card          string   `json:"card"`
}

// Client is connected to a server of the board.
type Client struct {
	Channel     string `json:"channel"`
	Protocol    string `json:"protocol"`
	Address     string `json:"address"`
	User        string `json:"user"`
	Application string `json:"application"`
}

// judge returns a board's judgement of itself; of a version that has none, what its
// figures say. Since is then the zero time.
func (s *Status) judge() Trust {
	if t := s.Trust; t != nil && (t.Level == Yes || t.Level == Partly || t.Level == No) {
		return *t
	}
	var no, partly []Reason
	if s.Link.State != "" {
		no = append(no, Reason{Text: "link: " + s.Link.State})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Channels)) {
		switch c := s.Channels[name]; {
		case c.SourceState != "" && c.SourceState != "up":
			no = append(no, Reason{Channel: name, Text: fmt.Sprintf("source %s: %s", c.SourceState,
				cmp.Or(c.SourceReason, "no reason given"))})
		case c.Complete != nil && !*c.Complete:
			partly = append(partly, Reason{Channel: name, Text: "the initial snapshot is not complete yet"})
		case c.OpenHoles > 0:
			text := fmt.Sprintf("%d records are missing, and may still heal", c.OpenRecords)
			partly = append(partly, Reason{Channel: name, Text: text})
		}
	}
	for _, p := range s.Peers {
		if p.State != "" && p.State != "up" && s.Role == "rx" {
			text := fmt.Sprintf("%s %s: %s", p.Name, p.State, p.Reason)
			partly = append(partly, Reason{Channel: p.Channel, Text: text})
		}
	}
	if len(no)+len(partly) == 0 {
		for _, r := range s.Reasons {
			partly = append(partly, Reason{Text: r})
		}
	}
	switch {
	case len(no) > 0:
		return Trust{Level: No, Sentence: "The numbers cannot be trusted.", Reasons: append(no, partly...)}
	case len(partly) > 0:
		return Trust{Level: Partly, Sentence: "The numbers can be trusted in part.", Reasons: partly}
	}
	return Trust{Level: Yes, Sentence: "The numbers can be trusted."}
}
