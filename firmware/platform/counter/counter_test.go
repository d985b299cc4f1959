package counter

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
)

type inner struct {
	Cut uint64 `count:"cut_lines" help:"Lines cut."`
}

type sampleStats struct {
	Refused atomic.Uint64 `count:"refused_lines" help:"Lines refused."`
	Open    int           `gauge:"open_connections" help:"Connections now."`
	Frames  uint64        `shown:"link.frames"`
	Inner   inner
}

func TestOfReadsEveryTaggedField(t *testing.T) {
	s := sampleStats{Open: 3, Frames: 9, Inner: inner{Cut: 2}}
	s.Refused.Store(5)
	want := Set{Part: "syslog_source", Channel: "logs", Values: []Value{
		{Name: "refused_lines", Help: "Lines refused.", Value: 5},
		{Name: "open_connections", Help: "Connections now.", Value: 3, Gauge: true},
		{Name: "cut_lines", Help: "Lines cut.", Value: 2},
	}}
	if got := Of("syslog_source", "logs", &s); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestOfPanicsOnAFieldThatIsNotShown(t *testing.T) {
	for name, stats := range map[string]any{
		"no tag": struct{ Lost uint64 }{1},
		"not a count": struct {
			Name string `count:"name"`
		}{"x"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.HasPrefix(r, "counter: ") {
					t.Errorf("got panic %v, want one of package counter", r)
				}
			}()
			Of("part", "", stats)
		})
	}
}

func TestJSONRoundTrip(t *testing.T) {
	want := Set{Part: "link", Values: []Value{{Name: "a_b", Value: 7}}}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Set
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v and %v from %s, want %+v", got, err, b, want)
	}
}

type part struct{ sets []Set }

func (p part) Counters() []Set { return p.sets }

func TestGatherAsksWhoHasCounters(t *testing.T) {
	got := Gather([]any{1, part{[]Set{{Part: "a"}}}, "x", part{[]Set{{Part: "b"}, {Part: "c"}}}})
	if len(got) != 3 || got[0].Part != "a" || got[2].Part != "c" {
		t.Errorf("got %+v, want parts a, b and c", got)
	}
}
