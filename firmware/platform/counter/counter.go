// Package counter carries the counters of a part of a role to where people and
// machines read them: /status.json, /metrics and the page.
//
// A part declares its counters as one struct type, whose name ends in Stats,
// Counts or Counters, and tags every field:
//
//	type Stats struct {
//		Refused uint64 `count:"refused_lines" help:"Lines refused: too long."`
//		Open    int    `gauge:"open_connections" help:"Connections now."`
//		Frames  uint64 `shown:"link.frames"`
//	}
//
// A field is a metric, heliograph_PART_NAME_total for a count and
// heliograph_PART_NAME for a gauge, or names the place in /status.json where the
// role shows it. ci/archtest fails on a field that has no tag, and on one that a
// running role does not show. A task that has counters implements Source; the
// role asks all its tasks.
//
// The package refuses to keep counters: parts do, and hand over a copy.
package counter

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync/atomic"
)

// Set is the counters of one part at one moment.
type Set struct {
	Part    string // what counts, as metrics name it: "mqtt_source"
	Channel string // "" where the part serves the whole role
	Values  []Value
}

// Value is one counter.
type Value struct {
	Name  string // noun_unit, without part and "_total"
	Help  string // one sentence for an operator
	Value uint64
	Gauge bool // a level, which may fall
}

// Source is a part that has counters. Safe for concurrent use.
type Source interface {
	Counters() []Set
}

// Of returns the set that stats, a tagged struct or a pointer to one, holds.
// Nested structs belong to the same part. It panics on a field of another kind
// than the package comment shows, which the part's own test finds.
func Of(part, channel string, stats any) Set {
	v := reflect.ValueOf(stats)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return Set{Part: part, Channel: channel, Values: fields(v, nil)}
}

func fields(v reflect.Value, to []Value) []Value {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag
		value := Value{Name: tag.Get("count"), Help: tag.Get("help")}
		if name := tag.Get("gauge"); name != "" {
			value.Name, value.Gauge = name, true
		}
		switch {
		case value.Name != "":
			value.Value = number(field)
			to = append(to, value)
		case tag.Get("shown") != "":
		case field.Kind() == reflect.Struct:
			to = fields(field, to)
		default:
			panic(fmt.Sprintf("counter: %s.%s has no tag", v.Type(), v.Type().Field(i).Name))
		}
	}
	return to
}

func number(v reflect.Value) uint64 {
	switch {
	case v.CanUint():
		return v.Uint()
	case v.CanInt():
		return uint64(max(v.Int(), 0))
	case v.CanAddr():
		if a, ok := v.Addr().Interface().(*atomic.Uint64); ok {
			return a.Load()
		}
	}
	panic(fmt.Sprintf("counter: a field of type %s does not count", v.Type()))
}

// Gather returns the sets of all parts that have counters.
func Gather[T any](parts []T) (sets []Set) {
	for _, p := range parts {
		if s, ok := any(p).(Source); ok {
			sets = append(sets, s.Counters()...)
		}
	}
	return sets
}

// MarshalJSON writes {"part", "channel", "values": {NAME: NUMBER}}.
func (s Set) MarshalJSON() ([]byte, error) {
	values := make(map[string]uint64, len(s.Values))
	for _, v := range s.Values {
		values[v.Name] = v.Value
	}
	return json.Marshal(struct {
		Part    string            `json:"part"`
		Channel string            `json:"channel,omitempty"`
		Values  map[string]uint64 `json:"values"`
	}{s.Part, s.Channel, values})
}

// UnmarshalJSON reads what MarshalJSON writes; Help and Gauge do not cross.
func (s *Set) UnmarshalJSON(b []byte) error {
	var in struct {
		Part, Channel string
		Values        map[string]uint64
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = Set{Part: in.Part, Channel: in.Channel}
	for name, n := range in.Values {
		s.Values = append(s.Values, Value{Name: name, Value: n})
	}
	return nil
}
