package watch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"heliograph/firmware/platform/status"
)

// Levels of trust. The first three are those that a board says.
const (
	Yes      = string(status.Yes)
	Partly   = string(status.Partly)
	No       = string(status.No)
	NoAnswer = "no answer"
)

// verdict is a board's judgement of itself, or what its figures say.
type verdict struct {
	level, sentence string
	since           time.Time // zero: the board does not say
	reasons         []Reason
}

// Reason is why the level is not Yes.
type Reason struct {
	Channel string    `json:"channel,omitempty"` // "": the link, or the board
	Text    string    `json:"text"`
	Since   time.Time `json:"since,omitzero"`
}

// judge returns a board's judgement of itself; of a version that has none, what its
// figures say. Older versions leave out some of a status; what a newer one adds is not read.
func judge(s *status.Snapshot) verdict {
	if t := s.Trust; t != nil && slices.Contains([]status.Level{status.Yes, status.Partly, status.No}, t.Level) {
		v := verdict{level: string(t.Level), sentence: t.Sentence, since: t.Since}
		for _, r := range t.Reasons {
			v.reasons = append(v.reasons, Reason{r.Channel, r.Text, r.Since})
		}
		return v
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
		case value(c.OpenHoles) > 0:
			text := fmt.Sprintf("%d records are missing, and may still heal", value(c.OpenRecords))
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
		return verdict{level: No, sentence: "The numbers cannot be trusted.", reasons: append(no, partly...)}
	case len(partly) > 0:
		return verdict{level: Partly, sentence: "The numbers can be trusted in part.", reasons: partly}
	}
	return verdict{level: Yes, sentence: "The numbers can be trusted."}
}
