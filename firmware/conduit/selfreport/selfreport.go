// Package selfreport is what the transmitter reports of itself: the state of the
// gateway's own channel (record.Gateway), whose values are text for an operator.
//
// Each entry is a key and a value of that channel:
//
//	version              2.1.0
//	pair                 press-hall
//	epoch                42
//	configuration        1 mqtt, 0 syslog, 2 opcua over ethernet
//	clock                ntp 10.0.0.1, off by 2ms
//	temperature_celsius  48
//	board                {"card":"12 % worn","led_means":"works","led_pattern":"1 flash","name":"tx-1",
//	                     "last_update":"8 kept","release":"8","supply":"ok","uptime_seconds":3600}, on one line
//	link                 {"overhead":0.25,"bytes_per_second":12500000}
//	link_received        {"interface":0,"reading":17}
//	source/CHANNEL       {"missed":2,"missed_reason":"2 messages that are not valid",
//	                     "protocol":"mqtt","reason":"","state":"up"}, on one line; while it is not up with
//	                     "cause":{"code":"server-untrusted","thumbprint":"5821…"} of package cause
//	certificate/NAME     expires 2027-01-31
//	audit/0 … audit/15   a message of package audit; event N of the trail is at N mod 16
//
// An entry that is deleted no longer holds. A receiver skips keys that it does not
// know, so that a newer transmitter can report more. The package refuses to carry
// secrets and, but for what an event says of who was let in or refused, the
// addresses of the plant.
package selfreport

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"heliograph/firmware/platform/cause"
)

// The keys, and the prefixes of those that end in a name.
const (
	keyVersion       = "version"
	keyPair          = "pair"
	keyEpoch         = "epoch"
	keyConfiguration = "configuration"
	keyClock         = "clock"
	keyTemperature   = "temperature_celsius"
	keyBoard         = "board"
	keyLink          = "link"
	keyReceived      = "link_received"
	keySource        = "source/"
	keyCertificate   = "certificate/"
	keyAudit         = "audit/"

	expires = "expires " // of a certificate's value
)

// AuditSlots is how many of the newest events a report has.
const AuditSlots = 16

// Report is what the transmitter reports. The zero value of a field, and nil,
// stand for what it does not report.
type Report struct {
	Version       string
	Pair          string
	Epoch         uint64
	Configuration string // in words
	Clock         string // in words
	Temperature   *int   // of the processor, °C
	Board         *Board
	Link          *Link
	Received      *Received
	Sources       []Source
	Certificates  []Certificate
	Audit         []Event
}

// Link is how the transmitter uses its link.
type Link struct {
	Overhead       float64 `json:"overhead"` // minimum of parity ÷ payload
	BytesPerSecond float64 `json:"bytes_per_second"`
}

// Board is how the transmitter's machine does, in words.
type Board struct {
	Card          string `json:"card,omitempty"`
	LEDMeans      string `json:"led_means,omitempty"`
	LEDPattern    string `json:"led_pattern,omitempty"`
	Name          string `json:"name,omitempty"`
	LastUpdate    string `json:"last_update,omitempty"`
	Release       string `json:"release,omitempty"`
	Supply        string `json:"supply,omitempty"`
	UptimeSeconds uint64 `json:"uptime_seconds,omitempty"` // in whole minutes, so that it is sent once a minute
}

// Source is the source of a channel.
type Source struct {
	Channel  string
	Protocol string      // "opcua", "mqtt", "syslog"; "" from a transmitter that does not report it
	State    string      // "connecting", "up", "down"
	Reason   string      // of the state, in words
	Cause    cause.Cause // of the state; address and detail do not cross
	Missed   *uint64     // records lost before the link; nil from a transmitter that does not count them
	What     string      // how many of Missed are what, in words
}

// sourceValue is a Source's value. The fields are in the order of the wire.
type sourceValue struct {
	Cause    cause.Cause `json:"cause,omitzero"`
	Missed   *uint64     `json:"missed,omitempty"`
	What     string      `json:"missed_reason,omitempty"`
	Protocol string      `json:"protocol,omitempty"`
	Reason   string      `json:"reason"`
	State    string      `json:"state"`
}

// Certificate is one that the transmitter uses or trusts.
type Certificate struct {
	Name    string
	Expires time.Time // in whole days
}

// Event is an event of the transmitter's audit trail, as package audit encodes it.
type Event struct {
	Number  uint64 // decoded: modulo AuditSlots
	Message []byte
}

// Entry is a key of the gateway's channel and its value.
type Entry struct{ Key, Value string }

// Entries encodes the report.
func (r *Report) Entries() []Entry {
	var out []Entry
	add := func(key, value string) {
		if value != "" {
			out = append(out, Entry{key, value})
		}
	}
	add(keyVersion, r.Version)
	add(keyPair, r.Pair)
	if r.Epoch > 0 {
		add(keyEpoch, strconv.FormatUint(r.Epoch, 10))
	}
	add(keyConfiguration, r.Configuration)
	add(keyClock, r.Clock)
	if r.Temperature != nil {
		add(keyTemperature, strconv.Itoa(*r.Temperature))
	}
	addJSON := func(key string, value any) {
		if b, err := json.Marshal(value); err == nil { // numbers always marshal
			add(key, string(b))
		}
	}
	if r.Board != nil {
		addJSON(keyBoard, r.Board)
	}
	if r.Link != nil {
		addJSON(keyLink, r.Link)
	}
	if r.Received != nil {
		addJSON(keyReceived, r.Received)
	}
	for _, s := range r.Sources {
		s.Cause.Address, s.Cause.Detail = "", ""
		addJSON(keySource+s.Channel, sourceValue{s.Cause, s.Missed, s.What, s.Protocol, s.Reason, s.State})
	}
	for _, c := range r.Certificates {
		add(keyCertificate+c.Name, expires+c.Expires.UTC().Format(time.DateOnly))
	}
	for _, e := range r.Audit {
		add(keyAudit+strconv.FormatUint(e.Number%AuditSlots, 10), string(e.Message))
	}
	return out
}

// Add decodes one entry into the report. It returns false for an entry that is
// unknown or malformed, which changes nothing.
func (r *Report) Add(e Entry) bool {
	if prefix, name, named := strings.Cut(e.Key, "/"); named {
		return r.addNamed(prefix+"/", name, e.Value)
	}
	if e.Value == "" {
		return false
	}
	switch e.Key {
	case keyVersion:
		r.Version = e.Value
	case keyPair:
		r.Pair = e.Value
	case keyConfiguration:
		r.Configuration = e.Value
	case keyClock:
		r.Clock = e.Value
	case keyEpoch:
		n, err := strconv.ParseUint(e.Value, 10, 64)
		if err != nil || n == 0 {
			return false
		}
		r.Epoch = n
	case keyTemperature:
		n, err := strconv.Atoi(e.Value)
		if err != nil {
			return false
		}
		r.Temperature = &n
	case keyBoard:
		return addJSON(e.Value, &r.Board)
	case keyLink:
		return addJSON(e.Value, &r.Link)
	case keyReceived:
		return addJSON(e.Value, &r.Received)
	default:
		return false
	}
	return true
}

// addJSON decodes a value; what is malformed changes nothing.
func addJSON[T any](value string, to **T) bool {
	v := new(T)
	if json.Unmarshal([]byte(value), v) != nil {
		return false
	}
	*to = v
	return true
}

func (r *Report) addNamed(prefix, name, value string) bool {
	switch prefix {
	case keySource:
		var v sourceValue
		if json.Unmarshal([]byte(value), &v) != nil {
			return false
		}
		r.Sources = append(r.Sources, Source{name, v.Protocol, v.State, v.Reason, v.Cause, v.Missed, v.What})
	case keyCertificate:
		date, ok := strings.CutPrefix(value, expires)
		at, err := time.Parse(time.DateOnly, date)
		if !ok || err != nil {
			return false
		}
		r.Certificates = append(r.Certificates, Certificate{name, at})
	case keyAudit:
		n, err := strconv.ParseUint(name, 10, 64)
		if err != nil || n >= AuditSlots || value == "" {
			return false
		}
		r.Audit = append(r.Audit, Event{n, []byte(value)})
	default:
		return false
	}
	return true
}

// IsAudit reports whether a key is that of an event.
func IsAudit(key string) bool { return strings.HasPrefix(key, keyAudit) }
