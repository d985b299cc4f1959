package status

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// moment writes a time in UTC, "–" for one that is not known.
func moment(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateTime)
}

// sentence begins with a capital letter.
func sentence(s string) string { return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):] }

// protocolName is how a protocol is written.
func protocolName(s string) string {
	switch s {
	case "opcua":
		return "OPC UA"
	case "mqtt":
		return "MQTT"
	}
	return s
}

// tone is the class of a cell with a number: "zero", which is shown faint, or that of moved,
// such as "bad".
func tone(moved string, n *uint64) string {
	if value(n) == 0 {
		return "n zero"
	}
	return strings.TrimSpace("n " + moved)
}

// count writes a number in groups of three, "–" for an unknown one.
func count(n *uint64) string {
	if n == nil {
		return "–"
	}
	digits := fmt.Sprint(*n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f') // narrow no-break space
		}
		b.WriteRune(d)
	}
	return b.String()
}

// perSecond writes how many there are a second.
func perSecond(r *float64) string {
	if r == nil {
		return "–"
	}
	if *r > 0 && *r < 10 {
		return fmt.Sprintf("%.1f/s", *r)
	}
	whole := uint64(math.Round(max(*r, 0)))
	return count(&whole) + "/s"
}

// share writes what part of the frames n is, "" where that says nothing.
func share(n *uint64, frames uint64) string {
	if value(n) == 0 || frames == 0 {
		return ""
	}
	percent := 100 * float64(*n) / float64(frames)
	if percent < 0.01 {
		return "< 0.01 %"
	}
	return fmt.Sprintf("%.2f %%", percent)
}

func seconds(s *float64) string {
	if s == nil {
		return "–"
	}
	if *s < 10 {
		return fmt.Sprintf("%.1f s", *s)
	}
	return Rounded(*s)
}

func size(n uint64) string { return humanBytes(int64(min(n, math.MaxInt64))) }

func humanBytes(n int64) string {
	if n == 0 {
		return "0"
	}
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	if n < 10<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
