// Package audit is the trail of security-relevant events: refusals, changes, and
// losses of a board's state. Terms follow IEC 62443-4-2 CR 2.8 (time, source,
// category, type, event identifier, result); no conformance is claimed.
//
// A trail numbers its events from 1 without gaps, so that a receiver
// sees which are missing. Each kind of event has a room of its own, the newest 16, and a
// rate of its own: five at once and one a minute. What comes faster is one event with
// a count, written after 10 seconds and then after twice as long each time, up to an
// hour, while it goes on. So no kind wipes another, and a flood costs a disk nothing.
//
// An event is JSON, on disk and in /status.json; on the link its trail's identifier, which is
// random, stands beside it, to distinguish a board that lost its trail from one that repeats it:
//
//	{"trail": "90ab…", "entry": EVENT}     at most 4 KiB
//
//	{"number": 7, "time": "…", "source": "tx", "category": "access_control",
//	 "event": "login_refused", "text": "…", "result": "failure", "count": 12}
//
// The package refuses text with control characters or longer than 300 bytes, and to
// keep more than 40 kinds apart: further ones share the room of "other".
package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"heliograph/firmware/platform/text"
)

// Event is one entry of a trail.
type Event struct {
	Number   uint64    `json:"number"`   // 0: it goes on, and has its number when it is done
	Time     time.Time `json:"time"`     // of the first, where it stands for several
	Source   string    `json:"source"`   // the board: "tx" or "rx"
	Category Category  `json:"category"` // as the reference lists it
	Event    string    `json:"event"`    // its type, a fixed word: "auth_failure", "epoch_regressed" …
	Text     string    `json:"text"`     // in words
	Result   Result    `json:"result"`   // "success" or "failure"
	Count    uint64    `json:"count"`    // of events like it that this one stands for
}

// Category is one of CR 2.8's.
type Category string

// The categories.
const (
	AccessControl Category = "access_control"
	RequestError  Category = "request_error"
	ControlSystem Category = "control_system"
	Configuration Category = "configuration_change"
	AuditLog      Category = "audit_log"
)

// Result says how what is noted ended.
type Result string

// The results.
const (
	Success Result = "success"
	Failure Result = "failure"
)

// Our own bounds.
const (
	maxText    = 300 // bytes
	maxWord    = 40  // bytes of a kind's or a source's name
	maxMessage = 4 << 10
)

// Message is an event on its way to the other board.
type Message struct {
	Trail string `json:"trail"`
	Entry Event  `json:"entry"`
}

// Encode writes what Decode reads.
func (m Message) Encode() ([]byte, error) { return json.Marshal(m) }

// Decode reads an event that another board sent.
func Decode(b []byte) (m Message, err error) {
	if len(b) > maxMessage {
		return m, fmt.Errorf("audit: a message of %d bytes; at most %d", len(b), maxMessage)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("audit: %v", err)
	}
	e := &m.Entry
	if e.Number == 0 || e.Count == 0 || !word(m.Trail) || !word(e.Event) || !word(e.Source) ||
		!word(string(e.Category)) || e.Result != Success && e.Result != Failure {
		return m, fmt.Errorf("audit: event %d is not complete", e.Number)
	}
	e.Text = clean(e.Text)
	return m, nil
}

// word says whether s is a fixed word: lower-case letters, digits and "_".
func word(s string) bool {
	return s != "" && len(s) <= maxWord && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// clean makes text one line of bounded length.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	return text.Clip(s, maxText-3) + "..."
}

// Line writes an event as a line of syslog (RFC 5424), facility "log audit". The
// private enterprise number is the one that RFC 5612 sets aside for documentation.
func (e Event) Line(host string) []byte {
	const facility, warning, notice = 13, 4, 5
	severity := notice
	if e.Result == Failure {
		severity = warning
	}
	if host == "" || len(host) > 255 || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		host = "-"
	}
	return fmt.Appendf(nil, "<%d>1 %s %s heliograph - %s [audit@32473 number=\"%d\" source=\"%s\" category=\"%s\" "+
		"event=\"%s\" result=\"%s\" count=\"%d\"] \xEF\xBB\xBF%s",
		facility*8+severity, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"), host, text.Clip(e.Event, 32), e.Number,
		e.Source, e.Category, e.Event, e.Result, e.Count, e.Text)
}
