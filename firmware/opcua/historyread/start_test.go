package historyread

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// between yields 10 at 5:00, variants at 5:01 and 5:02, and 20 at 5:05 and 5:06, all Good.
func between(variant []byte) Source {
	return func(from, to time.Time, f func(time.Time, []byte) bool) error {
		return store("5:00", "5:01", "5:02", "5:05", "5:06")(from, to, func(t time.Time, _ []byte) bool {
			tick := uabinary.Ticks(t)
			raw := variant
			switch {
			case tick == at("5:00"):
				raw = appendNumber(nil, ua.TypeIDDouble, 10)
			case tick >= at("5:05"):
				raw = appendNumber(nil, ua.TypeIDDouble, 20)
			}
			return f(t, appendDataValue(raw, ua.StatusOK, tick))
		})
	}
}

// notNumbers are Variants that an aggregate cannot calculate with.
func notNumbers(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{"no value": nil}
	for name, v := range map[string]any{"NaN": math.NaN(), "NaN of a Float": float32(math.NaN()), "a text": "off",
		"an array": []float64{1, 2}} {
		raw, err := ua.MustVariant(v).Encode()
		if err != nil {
			t.Fatal(err)
		}
		out[name] = raw
	}
	return out
}

// TestResultsDoNotDependOnWhereARequestBegins: Good values that are no numbers do not hide the last number.
func TestResultsDoNotDependOnWhereARequestBegins(t *testing.T) {
	const half, intervals = int64(30 * time.Second / 100), 12
	for name, variant := range notNumbers(t) {
		t.Run(name, func(t *testing.T) {
			each := between(variant)
			for _, function := range aggregate.List() {
				for _, backward := range []bool{false, true} {
					p := Processed{Aggregate: function, Start: at("5:00:30"), End: at("5:00:30") + intervals*half,
						Interval: 30 * time.Second, Config: aggregate.DefaultConfig()}
					step := half
					if backward {
						p.Start, p.End, step = p.End, p.Start, -half
					}
					p.Config.UseSlopedExtrapolation = true
					first := p
					want := first.all(t, each, 1000)
					for i := range want {
						later := p
						later.Start += int64(i) * step
						if got := later.all(t, each, 1000); !slices.Equal(got, want[i:]) {
							t.Errorf("%s, backward %v, from interval %d: got %v, want %v", aggregate.Name(function),
								backward, i, got, want[i:])
						}
					}
				}
			}
		})
	}
}

func TestValuesBehindOnesThatAreNoNumbers(t *testing.T) {
	for name, variant := range notNumbers(t) {
		for _, c := range []struct {
			at   string
			want float64
		}{{"5:00:30", 11}, {"5:01:30", 13}, {"5:02:30", 15}, {"5:03:30", 17}} {
			t.Run(name+" at "+c.at, func(t *testing.T) {
				check := func(what string) func(int64, []byte) bool {
					return func(_ int64, raw []byte) bool {
						dv, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
						if x, ok := number(dv.Value); err != nil || !ok || x != c.want {
							t.Errorf("%s: got %v %v, %v; want %v", what, x, dv.Status, err, c.want)
						}
						return true
					}
				}
				w := Work{Samples: 100, Late: never}
				a := AtTime{Times: []int64{at(c.at)}, Numbers: true, Config: aggregate.DefaultConfig()}
				if _, err := a.Read(between(variant), &w, check("the value")); err != nil {
					t.Error(err)
				}
				p := Processed{Aggregate: id.AggregateFunction_Interpolative, Start: at(c.at), End: at(c.at) + 1e7,
					Config: aggregate.DefaultConfig()}
				if _, err := p.Read(between(variant), &w, check("Interpolative")); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
