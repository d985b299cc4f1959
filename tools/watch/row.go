package watch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/status"
)

// certificateWarning is how long before its end a certificate is shown.
const certificateWarning = 30 * 24 * time.Hour

// Row is how one board stands. Its JSON form is what --json prints; keys are added,
// never changed.
type Row struct {
	Address  string   `json:"address"`
	Pair     string   `json:"pair,omitempty"` // "": it never answered
	Role     string   `json:"role,omitempty"`
	Version  string   `json:"version,omitempty"`
	Level    string   `json:"level"` // "yes", "partly", "no", "no answer"
	Sentence string   `json:"sentence"`
	Reasons  []Reason `json:"reasons"`
	// Since when the level holds; of a board that does not say it, since when it was seen here.
	Since       time.Time           `json:"since"`
	Link        string              `json:"link,omitempty"` // "up", or why it is not
	Margin      Margin              `json:"margin"`
	Channels    int                 `json:"channels"`
	Trouble     []string            `json:"channels_in_trouble"` // their names
	OpenHoles   uint64              `json:"open_holes"`
	OpenRecords uint64              `json:"open_records"`
	Certificate *status.Certificate `json:"certificate,omitempty"` // the one that ends first, if within 30 days
	Contact     time.Time           `json:"last_contact,omitzero"` // zero: never

	status *status.Snapshot // nil: never
}

// Margin is what the link did within a time.
type Margin struct {
	Seconds  float64 `json:"seconds"`
	Frames   uint64  `json:"frames"`
	Repaired uint64  `json:"repaired"`
	Lost     uint64  `json:"lost"`
}

// fill puts in what a status says.
func (r *Row) fill(s *status.Snapshot, now time.Time) {
	r.status = s
	r.Pair, r.Role, r.Version = s.Pair, s.Role, s.Version
	v := judge(s)
	r.Level, r.Sentence, r.Reasons = v.level, v.sentence, append(r.Reasons, v.reasons...)
	if !v.since.IsZero() {
		r.Since = v.since
	}
	r.Link = cmp.Or(s.Link.State, "up")
	r.Channels = len(s.Channels)
	trouble := map[string]bool{}
	for _, reason := range v.reasons {
		if _, ok := s.Channels[reason.Channel]; ok {
			trouble[reason.Channel] = true
		}
	}
	for name, c := range s.Channels {
		if c.SourceState != "" && c.SourceState != "up" {
			trouble[name] = true
		}
		r.OpenHoles += value(c.OpenHoles)
		r.OpenRecords += value(c.OpenRecords)
	}
	r.Trouble = slices.AppendSeq(r.Trouble, maps.Keys(trouble))
	slices.Sort(r.Trouble)
	for _, c := range s.Certificates {
		near := !c.Expires.IsZero() && c.Expires.Sub(now) < certificateWarning
		if near && (r.Certificate == nil || c.Expires.Before(r.Certificate.Expires)) {
			r.Certificate = &c
		}
	}
}

// rank orders levels, the worst first.
func rank(level string) int { return slices.Index([]string{NoAnswer, No, Partly, Yes}, level) }

// compare orders rows: the worst first, then by name.
func (r *Row) compare(o *Row) int {
	return cmp.Or(cmp.Compare(rank(r.Level), rank(o.Level)), cmp.Compare(r.Name(), o.Name()),
		cmp.Compare(r.Role, o.Role), cmp.Compare(r.Address, o.Address))
}

// Name is the pair, or the address of a board that never answered.
func (r *Row) Name() string { return cmp.Or(r.Pair, r.Address) }

// side is one side of a pair, by its name.
func (r *Row) side() string { return r.Name() + " " + r.Role }

// Side is which side of a pair it is, in short.
func (r *Row) Side() string { return strings.ToUpper(r.Role) }

// Why is why the level is not "yes", in one line.
func (r *Row) Why() string {
	if len(r.Reasons) == 0 {
		if r.Level == Yes {
			return ""
		}
		return r.Sentence
	}
	first := r.Reasons[0]
	text := first.Text
	if first.Channel != "" {
		text = first.Channel + ": " + text
	}
	if more := len(r.Reasons) - 1; more > 0 {
		text = fmt.Sprintf("%s (and %d more)", text, more)
	}
	return text
}

// Trusted reports whether all rows are at Yes.
func Trusted(rows []Row) bool {
	return !slices.ContainsFunc(rows, func(r Row) bool { return r.Level != Yes })
}
