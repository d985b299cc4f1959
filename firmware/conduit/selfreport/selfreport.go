// Package selfreport names what the transmitter says of itself: the keys of the
// gateway's own channel (record.Gateway), whose values are text for an operator.
//
//	version, pair, epoch, configuration, clock, temperature_celsius
//	source/CHANNEL      {"protocol": "mqtt", "state": "up", "reason": ""}
//	certificate/NAME    expires 2027-01-31
//	audit/0 … audit/15  a message of package audit; event N of the trail stands at N mod 16
//
// A key that is gone no longer holds. The package refuses to carry secrets and,
// but for what an event says of who was let in or refused, the addresses of the plant.
package selfreport

import (
	"strconv"
	"strings"
	"time"
)

const (
	source      = "source/"
	certificate = "certificate/"
	expires     = "expires "
	audit       = "audit/"
	auditKeys   = 16
)

// Audit returns the key of an event of the audit trail by its number.
func Audit(number uint64) string { return audit + strconv.FormatUint(number%auditKeys, 10) }

// IsAudit says whether a key is of Audit.
func IsAudit(key string) bool { return strings.HasPrefix(key, audit) }

// Source returns the key of a channel's source.
func Source(channel string) string { return source + channel }

// Channel returns the channel that a key of Source names.
func Channel(key string) (name string, ok bool) { return strings.CutPrefix(key, source) }

// Certificate returns key and value for a certificate that ends at a time.
func Certificate(name string, at time.Time) (key, value string) {
	return certificate + name, expires + at.UTC().Format(time.DateOnly)
}

// ParseCertificate reads what Certificate returned.
func ParseCertificate(key, value string) (name string, at time.Time, ok bool) {
	name, ok = strings.CutPrefix(key, certificate)
	date, found := strings.CutPrefix(value, expires)
	at, err := time.Parse(time.DateOnly, date)
	return name, at, ok && found && err == nil
}
