package historyread

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/aggregate"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// series yields Doubles, a second apart from 5:00 on; NaN stands for a Bad sample.
func series(list ...float64) Source {
	return func(from, to time.Time, f func(time.Time, []byte) bool) error {
		order := make([]int, len(list))
		for i := range order {
			order[i] = i
		}
		backward := from.After(to)
		if backward {
			slices.Reverse(order)
			from, to = to, from
		}
		for _, i := range order {
			t := uabinary.Time(at("5:00")).Add(time.Duration(i) * time.Second)
			dv := appendDataValue(appendNumber(nil, ua.TypeIDDouble, list[i]), ua.StatusOK, uabinary.Ticks(t))
			if math.IsNaN(list[i]) {
				dv = appendDataValue(nil, ua.StatusBadDataLost, uabinary.Ticks(t))
			}
			if !t.Before(from) && !t.After(to) && !f(t, dv) {
				break
			}
		}
		return nil
	}
}

// words writes a result: seconds after 5:00, the number, and the status unless it is Good.
func words(t int64, dataValue []byte) string {
	dv, err := rawvalue.SkimDataValue(dataValue, rawvalue.Limits{})
	if err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("%v:", float64(t-at("5:00"))/1e7)
	if x, ok := number(dv.Value); ok {
		out += fmt.Sprint(x)
	} else if dv.Value.Type() == ua.TypeIDString {
		out += string(dv.Value.Raw[5:])
	}
	if dv.Status != 0 {
		out += fmt.Sprintf("!%x", uint32(dv.Status))
	}
	return out
}

func never() bool { return false }

// all reads on until there is no more, in parts of so many results.
func (p *Processed) all(t *testing.T, each Source, room int) (list []string) {
	t.Helper()
	for more, parts := true, 0; more; parts++ {
		n := 0
		var err error
		w := Work{Samples: 1 << 20, Late: never}
		more, err = p.Read(each, &w, func(at int64, dv []byte) bool {
			list = append(list, words(at, dv))
			n++
			return n < room
		})
		if err != nil || parts > 10_000 || n > room {
			t.Fatalf("part %d of %d: %v", parts, n, err)
		}
	}
	return list
}

func TestAggregatesInParts(t *testing.T) {
	var list []float64
	for i := range 200 {
		list = append(list, float64(i%7))
	}
	list[33] = math.NaN()
	each := series(list...)
	for _, c := range []struct{ start, end string }{{"5:00", "5:03:15"}, {"5:03:15", "5:00"}, {"4:59", "5:05"},
		{"5:05:01", "4:59"},
		{"4:56", "4:59"}} {
		for _, interval := range []time.Duration{0, time.Second, 1500 * time.Millisecond, 10 * time.Second, time.Hour} {
			for _, function := range []uint32{id.AggregateFunction_Average, id.AggregateFunction_Interpolative,
				id.AggregateFunction_Count, id.AggregateFunction_TimeAverage, id.AggregateFunction_Delta} {
				p := Processed{Aggregate: function, Start: at(c.start), End: at(c.end), Interval: interval,
					Config: aggregate.DefaultConfig()}
				var want []string
				r := reading{each: each, work: &Work{Samples: 1 << 20, Late: never}, config: p.Config}
				err := aggregate.Compute(function, r.from(min(p.Start, p.End)), uabinary.Time(p.Start),
					uabinary.Time(p.End),
					interval, p.Config, func(v aggregate.Value) bool {
						want = append(want, words(r.result(aggregate.Result(function), v)))
						return true
					})
				if err != nil {
					t.Fatal(err)
				}
				for _, room := range []int{1, 1000} {
					again := p
					if got := again.all(t, each, room); !slices.Equal(got, want) {
						t.Errorf("%s of %v by %v in parts of %d: got %v, want %v", aggregate.Name(function), c,
							interval, room,
							got, want)
					}
				}
			}
		}
	}
}

// TestWorkIsBounded: a response has what was computed when the samples are used up, and at least one
// result.
func TestWorkIsBounded(t *testing.T) {
	list := make([]float64, 1000)
	for _, c := range []struct{ start, end string }{{"5:00", "5:16:40"}, {"5:16:40", "5:00"}} {
		p := Processed{Aggregate: id.AggregateFunction_Count, Start: at(c.start), End: at(c.end),
			Interval: 100 * time.Second,
			Config:   aggregate.DefaultConfig()}
		var results []string
		parts := 0
		for more := true; more; parts++ {
			w := Work{Samples: 250, Late: never}
			before := len(results)
			var err error
			more, err = p.Read(series(list...), &w, func(at int64, dv []byte) bool {
				results = append(results, words(at, dv))
				return true
			})
			if err != nil || len(results) == before || w.Used() > 1010 {
				t.Fatalf("part %d: %v, %d results of %d samples", parts, err, len(results)-before, w.Used())
			}
		}
		if len(results) != 10 || c.start < c.end && parts < 4 {
			t.Errorf("%v: got %v in %d parts, want 10 results", c, results, parts)
		}
	}
	late := 0
	p := Processed{Aggregate: id.AggregateFunction_Count, Start: at("5:00"), End: at("5:10"), Interval: time.Second,
		Config: aggregate.DefaultConfig()}
	more, err := p.Read(series(list...), &Work{Samples: 1 << 20, Late: func() bool { late++; return late > 5 }},
		func(int64, []byte) bool { return true })
	if !more || err != nil || p.next != 6 {
		t.Errorf("got %d results, more %v, %v; want 6 when the time was over", p.next, more, err)
	}
}

func TestOneResultOfTooManySamples(t *testing.T) {
	dv := appendDataValue(appendNumber(nil, ua.TypeIDDouble, 1), ua.StatusOK, at("5:00"))
	endless := func(from, to time.Time, f func(time.Time, []byte) bool) error {
		for from.Before(to) && f(from, dv) {
			from = from.Add(100)
		}
		return nil
	}
	p := Processed{Aggregate: id.AggregateFunction_Average, Start: at("5:00"), End: at("6:00"),
		Config: aggregate.DefaultConfig()}
	_, err := p.Read(endless, &Work{Samples: 100, Late: never}, func(int64, []byte) bool { return true })
	if !errors.Is(err, ErrTooMuch) {
		t.Errorf("got %v, want ErrTooMuch", err)
	}
}

func TestValuesAtTimes(t *testing.T) {
	for name, c := range map[string]struct {
		simple, stepped bool
		want            string
	}{
		"interpolated": {false, false,
			"-1:!809b0000 0:0 0.5:5!402 1:10 2:!809d0000 2.5:25!40a40402 3:30 9:30!40a40402"},
		"stepped": {false, true, "-1:!809b0000 0:0 0.5:0!402 1:10 2:!809d0000 2.5:10!40a40402 3:30 9:30!40a40402"},
		"simple":  {true, false, "-1:!809b0000 0:0 0.5:5!402 1:10 2:!809d0000 2.5:!809b0000 3:30 9:30!40a40402"},
	} {
		t.Run(name, func(t *testing.T) {
			a := AtTime{Simple: c.simple, Numbers: true, Config: aggregate.DefaultConfig()}
			a.Config.Stepped = c.stepped
			for _, s := range []float64{-1, 0, 0.5, 1, 2, 2.5, 3, 9} {
				a.Times = append(a.Times, at("5:00")+int64(s*1e7))
			}
			var got []string
			for more := true; more; {
				n := 0
				var err error
				more, err = a.Read(series(0, 10, math.NaN(), 30), &Work{Samples: 100, Late: never}, func(at int64,
					dv []byte) bool {
					got = append(got, words(at, dv))
					n++
					return n < 3
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got  %v\nwant %v", strings.Join(got, " "), c.want)
			}
		})
	}
}

// TestTextsAtTimes: a text holds until the next value.
func TestTextsAtTimes(t *testing.T) {
	text := func(s string) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte{byte(ua.TypeIDString)}, uint32(len(s))), s...)
	}
	each := func(from, to time.Time, f func(time.Time, []byte) bool) error {
		return store("5:00", "5:01", "5:02", "5:03")(from, to, func(t time.Time, _ []byte) bool {
			tick := uabinary.Ticks(t)
			switch tick {
			case at("5:01"):
				return f(t, appendDataValue(nil, ua.StatusBadDataLost, tick))
			case at("5:00"):
				return f(t, appendDataValue(text("on"), ua.StatusOK, tick))
			}
			return f(t, appendDataValue(text("off"), ua.StatusOK, tick))
		})
	}
	a := AtTime{Config: aggregate.DefaultConfig()}
	for _, s := range []string{"4:59", "5:00", "5:00:30", "5:01", "5:01:30", "5:02:30", "5:04"} {
		a.Times = append(a.Times, at(s))
	}
	var got []string
	_, err := a.Read(each, &Work{Samples: 100, Late: never}, func(at int64, dv []byte) bool {
		got = append(got, words(at, dv))
		return true
	})
	want := "-60:!809b0000 0:on 30:on!402 60:!809d0000 90:on!40a40402 150:off!402 240:off!40a40402"
	if strings.Join(got, " ") != want || err != nil {
		t.Errorf("got  %v, %v\nwant %v", strings.Join(got, " "), err, want)
	}
}

func TestNumbersKeepTheirType(t *testing.T) {
	for _, v := range []any{true, int8(-3), uint8(250), int16(-300), uint16(65000), int32(-70000), uint32(4e9),
		int64(-1 << 40),
		uint64(1 << 60), float32(1.5), -2.25} {
		raw, err := ua.MustVariant(v).Encode()
		if err != nil {
			t.Fatal(err)
		}
		x, err := rawvalue.SkimVariant(raw, rawvalue.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		n, ok := number(x)
		if got := appendNumber(nil, x.Type(), n); !ok || string(got) != string(raw) {
			t.Errorf("%T %v: got %x, want %x", v, v, got, raw)
		}
		for _, far := range []float64{1e300, -1e300, math.Inf(1)} {
			if _, err := rawvalue.SkimVariant(appendNumber(nil, x.Type(), far), rawvalue.Limits{}); err != nil {
				t.Errorf("%T of %v: %v", v, far, err)
			}
		}
	}
	if _, ok := number(rawvalue.Variant{}); ok {
		t.Error("no value is a number")
	}
}
