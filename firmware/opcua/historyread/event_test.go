package historyread

import (
	"fmt"
	"strings"
	"testing"
)

// TestEventsInParts: every second event is asked for, and a response examines three.
func TestEventsInParts(t *testing.T) {
	each := store("5:00", "5:01", "5:02", "5:02", "5:03", "5:04", "5:05", "5:06")
	for _, c := range []struct {
		start, end string
		limit      uint32
		want       string // responses are separated by a bar
	}{
		{"5:00", "5:06", 0, "5:00 5:02 | 5:03 | 5:05"},
		{"5:06", "5:00", 0, "5:06 5:04 | 5:02 | 5:01"},
		{"5:00", "5:06", 1, "5:00 | 5:02 | 5:03 | 5:05"},
		{"5:00", "", 3, "5:00 5:02 | 5:03"},
		{"", "5:04", 2, "5:04 5:02"},
		{"5:02", "5:02", 0, "5:02"},
		{"4:00", "4:30", 0, ""},
	} {
		t.Run(fmt.Sprintf("%s-%s,%d", c.start, c.end, c.limit), func(t *testing.T) {
			r := Events{Domain: Domain{Start: at(c.start), End: at(c.end), Limit: c.limit}}
			var parts []string
			seen := 0
			for more := true; more; {
				var part []string
				examined := 0
				var err error
				more, err = ReadEvents(&r, each, func(at int64, event []byte) Verdict {
					if examined >= 3 {
						return Stop
					}
					examined++
					seen++
					if seen%2 == 0 {
						return Pass
					}
					part = append(part, text(at, event))
					return Take
				})
				if err != nil || len(parts) > 100 {
					t.Fatal(err)
				}
				parts = append(parts, strings.Join(part, " "))
			}
			if got := strings.TrimSpace(strings.Join(parts, " | ")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
