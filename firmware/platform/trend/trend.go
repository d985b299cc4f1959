// Package trend keeps how figures went over ten minutes, a day and a month, in memory of
// a fixed size.
//
//	ring := trend.New([]trend.Figure{{Name: "frames", Unit: "1/s", Kind: trend.Rate}, …})
//	ring.Add(now, []float64{41058, …})  // every second or two
//	ring.History("1d", now)             // at most 400 points of each figure, oldest first
//
// Each span is a ring of steps of the time of day. A sample counts for the time since the
// one before it, shared out among the steps that it covers; a pause of more than MaxPause
// leaves a gap, which is not zero. When the clock is set back, what lay in the time to come
// is dropped.
//
// What a ring has of the day and the month is kept over a restart:
//
//	version(1) = 1   spans(1)
//	each span:   step(4, seconds)   points(2)   newest(8, number of the step since 1970)   figures(1)
//	each figure: length(1)   name   unfinished: sum(8, float)   seconds(8, float)   points × value(4, float)
//
// big-endian, IEEE 754; a NaN is a gap. Values are those of the steps newest−points+1 to newest,
// the last of which is unfinished.
//
// The package is pure: time is an argument. It refuses to keep more points than a span
// has, and it does not interpolate. Not safe for concurrent use.
package trend

import (
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// MaxPause is the longest time between two samples that is not a gap.
const MaxPause = 15 * time.Second

// Kind says how samples of a figure become a point.
type Kind int

// The kinds.
const (
	Rate Kind = iota // of a count: how much it rose, in 1/s
	Mean             // of a level
	Most             // of a level: the highest
)

// Figure is one that a ring keeps.
type Figure struct {
	Name string
	Unit string // of its points
	Kind Kind
}

// span is a time that is kept in steps.
type span struct {
	name   string
	step   time.Duration
	points int
	kept   bool // over a restart
}

// spans returns them, shortest first. Our own choice.
func spans() []span {
	return []span{
		{"10m", 2 * time.Second, 300, false},
		{"1d", 5 * time.Minute, 288, true},
		{"1mo", 2 * time.Hour, 372, true},
	}
}

// Ring keeps the history of figures.
type Ring struct {
	figures []Figure
	tracks  []track

	last   time.Time // of the last sample; zero: none
	counts []float64 // of the last sample
}

// New returns an empty ring.
func New(figures []Figure) *Ring {
	r := &Ring{figures: figures}
	for _, s := range spans() {
		r.tracks = append(r.tracks, newTrack(s, figures))
	}
	return r
}

// Add adds a sample: a value for each figure, NaN for one that is not known.
func (r *Ring) Add(now time.Time, values []float64) {
	now = now.Round(0) // the time of day alone
	from, before := r.last, r.counts
	r.last, r.counts = now, append([]float64(nil), values...)
	pause := now.Sub(from)
	for i := range r.tracks {
		r.tracks[i].advance(now)
	}
	if from.IsZero() || pause <= 0 || pause > MaxPause {
		return
	}
	for f, figure := range r.figures {
		v := values[f]
		if figure.Kind == Rate {
			if v -= before[f]; v < 0 {
				continue // it began again
			}
			v /= pause.Seconds()
		}
		if math.IsNaN(v) {
			continue
		}
		v = min(max(v, -math.MaxFloat32), math.MaxFloat32)
		for i := range r.tracks {
			r.tracks[i].add(f, from, now, v)
		}
	}
}

// History is how the figures went over a span.
type History struct {
	Span        string    `json:"span"`
	StepSeconds float64   `json:"step_seconds"`
	To          time.Time `json:"to"` // when the last step, which is unfinished, ends
	Series      []Series  `json:"series"`
}

// Series is the points of one figure.
type Series struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Values Values `json:"values"` // oldest first
}

// Values are points; a NaN is a gap.
type Values []float32

// MarshalJSON writes a gap as null, and a point with the digits that matter.
func (v Values) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(float64(x)) {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendFloat(b, float64(x), 'g', 5, 64)
		}
	}
	return append(b, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Values) UnmarshalJSON(b []byte) error {
	var points []*float32
	if err := json.Unmarshal(b, &points); err != nil {
		return err
	}
	*v = make(Values, len(points))
	for i, p := range points {
		if (*v)[i] = gap; p != nil {
			(*v)[i] = *p
		}
	}
	return nil
}

// Newest returns the beginning of the newest step that is kept; the zero time of an empty
// ring.
func (r *Ring) Newest() (newest time.Time) {
	for i := range r.tracks {
		if t := &r.tracks[i]; t.begun {
			if at := t.begins(t.newest); at.After(newest) {
				newest = at
			}
		}
	}
	return newest
}

// Spans returns the names of the spans, shortest first.
func Spans() (names []string) {
	for _, s := range spans() {
		names = append(names, s.name)
	}
	return names
}

// History returns a span up to now; false for a name that is none.
func (r *Ring) History(name string, now time.Time) (h History, ok bool) {
	for i := range r.tracks {
		if t := &r.tracks[i]; t.name == name {
			t.advance(now.Round(0))
			h = History{Span: t.name, StepSeconds: t.step.Seconds(),
				To: t.begins(t.newest + 1)}
			for f, figure := range r.figures {
				h.Series = append(h.Series, Series{figure.Name, figure.Unit, t.points(f)})
			}
			return h, true
		}
	}
	return h, false
}
