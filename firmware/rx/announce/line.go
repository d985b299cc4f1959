package announce

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/text"
)

// Our own bounds.
const (
	calm        = 10 * time.Second // at least between two lines: a level that comes and goes fills no collector
	maxChannels = 20               // that a line names
	maxReason   = 300              // bytes of the one that a line has
)

// Changes makes a line of each change of trust. The zero value is ready.
type Changes struct {
	Pair, Host string

	level status.Level // as the last line says; "": there was none
	at    time.Time    // of the last line, or of the first verdict
}

// Line returns the line that is due, nil for none. Its first one says how a receiver
// stands soon after its start.
func (c *Changes) Line(now time.Time, t *status.Trust) []byte {
	if t == nil {
		return nil
	}
	if c.at.IsZero() {
		c.at = now
	}
	if t.Level == c.level || now.Sub(c.at) < calm {
		return nil
	}
	before := c.level
	c.level, c.at = t.Level, now
	const daemon, failure, warning, notice = 3, 3, 4, 5
	severity, known := map[status.Level]int{status.Yes: notice, status.Partly: warning}[t.Level]
	if !known {
		severity = failure
	}
	host := c.Host
	if host == "" || len(host) > 255 || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		host = "-"
	}
	return fmt.Appendf(nil, "<%d>1 %s %s heliograph - trust [trust@32473 pair=\"%s\" level=\"%s\" before=\"%s\" "+
		"since=\"%s\" reasons=\"%d\" channels=\"%s\"] \xEF\xBB\xBF%s",
		daemon*8+severity, now.UTC().Format("2006-01-02T15:04:05.000000Z"), host, c.Pair, t.Level, before,
		t.Since.UTC().Format(time.RFC3339), len(t.Reasons), channelsOf(t), message(t))
}

// channelsOf names the channels that reasons are of. Names of channels need no escape.
func channelsOf(t *status.Trust) string {
	var names []string
	for _, r := range t.Reasons {
		if r.Channel != "" && !slices.Contains(names, r.Channel) && len(names) < maxChannels {
			names = append(names, r.Channel)
		}
	}
	return strings.Join(names, ",")
}

// message is the sentence with the worst reason, on one line.
func message(t *status.Trust) string {
	s := t.Sentence
	if len(t.Reasons) > 0 {
		r := t.Reasons[0]
		if r.Channel != "" {
			s += " " + r.Channel + ":"
		}
		s += " " + text.Clip(r.Text, maxReason)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
