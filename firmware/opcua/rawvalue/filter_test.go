package rawvalue

import (
	"errors"
	"math"
	"testing"

	"github.com/gopcua/opcua/ua"
)

func value(t testing.TB, v any) DataValue {
	t.Helper()
	raw := append([]byte{ua.DataValueValue}, variantOf(t, v).Raw...)
	d, err := SkimDataValue(raw, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func filter(t testing.TB, trigger ua.DataChangeTrigger, kind ua.DeadbandType, deadband float64) Filter {
	t.Helper()
	f, err := NewFilter(trigger, kind, deadband, variantOf(t, ua.NewExtensionObject(&ua.Range{Low: -50, High: 150})))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// changed reports whether a filter reports now after last.
func changed(f Filter, last, now DataValue) bool {
	t := f.Trace(last)
	return f.Changed(&t, now)
}

func TestTriggersReportWhatTheyName(t *testing.T) {
	const base = "17 03 2a 00 00 90 40 01 00 00 00 00 00 00 00 e7 03"
	for name, c := range map[string]struct {
		now  string
		want [3]bool // Status, StatusValue, StatusValueTimestamp
	}{
		"nothing":           {base, [3]bool{}},
		"status":            {"17 03 2a 00 00 91 40 01 00 00 00 00 00 00 00 e7 03", [3]bool{true, true, true}},
		"value":             {"17 03 2b 00 00 90 40 01 00 00 00 00 00 00 00 e7 03", [3]bool{false, true, true}},
		"type":              {"17 02 2a 00 00 90 40 01 00 00 00 00 00 00 00 e7 03", [3]bool{false, true, true}},
		"value is gone":     {"16 00 00 90 40 01 00 00 00 00 00 00 00 e7 03", [3]bool{false, true, true}},
		"timestamp":         {"17 03 2a 00 00 90 40 02 00 00 00 00 00 00 00 e7 03", [3]bool{false, false, true}},
		"picoseconds":       {"17 03 2a 00 00 90 40 01 00 00 00 00 00 00 00 e8 03", [3]bool{false, false, true}},
		"timestamp is gone": {"03 03 2a 00 00 90 40", [3]bool{false, false, true}},
		"server timestamp": {"1f 03 2a 00 00 90 40 01 00 00 00 00 00 00 00 e7 03 01 00 00 00 00 00 00 00",
			[3]bool{}},
		"timestamp, to 1601":   {"17 03 2a 00 00 90 40 00 00 00 00 00 00 00 00 e7 03", [3]bool{false, false, true}},
		"status is good again": {"15 03 2a 01 00 00 00 00 00 00 00 e7 03", [3]bool{true, true, true}},
	} {
		t.Run(name, func(t *testing.T) {
			last, err1 := SkimDataValue(unhex(t, base), Limits{})
			now, err2 := SkimDataValue(unhex(t, c.now), Limits{})
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for i, want := range c.want {
				f := filter(t, ua.DataChangeTrigger(i), ua.DeadbandTypeNone, 0)
				if got, back := changed(f, last, now), changed(f, now, last); got != want || back != want {
					t.Errorf("trigger %d: got %v and back %v, want %v", i, got, back, want)
				}
			}
		})
	}
}

func TestDeadbandsAreMeasuredExactly(t *testing.T) {
	nan := math.NaN()
	for name, c := range map[string]struct {
		last, now any
		deadband  float64
		want      bool
	}{
		"within":                       {10.0, 11.5, 1.5, false},
		"beyond":                       {10.0, 11.6, 1.5, true},
		"beyond, down":                 {11.6, 10.0, 1.5, true},
		"float":                        {float32(1), float32(1.25), 0.2, true},
		"bytes do not wrap":            {uint8(250), uint8(5), 100, true},
		"sbyte over zero":              {int8(-100), int8(100), 199, true},
		"int16":                        {int16(-5), int16(5), 10, false},
		"uint16":                       {uint16(0), uint16(65535), 65534, true},
		"int32":                        {int32(math.MinInt32), int32(math.MaxInt32), 1 << 32, false},
		"uint32":                       {uint32(0), uint32(math.MaxUint32), 1<<32 - 2, true},
		"int64 from end to end":        {int64(math.MinInt64), int64(math.MaxInt64), 1 << 62, true},
		"int64 beyond a double":        {int64(1<<60 + 1), int64(1 << 60), 0, true},
		"uint64 beyond a double":       {uint64(1<<63 + 1), uint64(1 << 63), 0.5, true},
		"uint64, down":                 {uint64(1<<63 + 1), uint64(1), 1 << 62, true},
		"uint64, beyond int64":         {uint64(3 << 62), uint64(0), 1 << 63, true},
		"zero deadband, same":          {1.0, 1.0, 0, false},
		"zero deadband, −0":            {0.0, math.Copysign(0, -1), 0, false},
		"to NaN":                       {1.0, nan, 1e9, true},
		"from NaN":                     {nan, 1.0, 1e9, true},
		"NaN stays":                    {nan, nan, 0, false},
		"infinity stays":               {math.Inf(1), math.Inf(1), 1, false},
		"infinity turns":               {math.Inf(1), math.Inf(-1), 1e300, true},
		"array within":                 {[]int32{1, 2, 3}, []int32{2, 3, 4}, 1, false},
		"array beyond in one":          {[]int32{1, 2, 3}, []int32{2, 3, 5}, 1, true},
		"array grew":                   {[]int32{1, 2}, []int32{1, 2, 3}, 100, true},
		"array to null array":          {[]int32{}, []int32(nil), 100, true},
		"matrix turned":                {[][]int32{{1, 2, 3}, {4, 5, 6}}, [][]int32{{1, 2}, {3, 4}, {5, 6}}, 100, true},
		"matrix within":                {[][]int32{{1, 2}}, [][]int32{{1, 3}}, 1, false},
		"type changed":                 {int32(1), uint32(1), 100, true},
		"scalar to array":              {int32(1), []int32{1}, 100, true},
		"string":                       {"a", "b", 100, true},
		"string, same":                 {"a", "a", 100, false},
		"boolean is not a number":      {true, false, 100, true},
		"value to null":                {int32(1), nil, 100, true},
		"null to null":                 {nil, nil, 100, false},
		"status code is not a number":  {ua.StatusCode(1), ua.StatusCode(2), 100, true},
		"time is not a number":         {[]bool{true}, []bool{false}, 100, true},
		"elements of one byte, beyond": {ua.ByteArray{1, 2}, ua.ByteArray{1, 9}, 6, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := filter(t, ua.DataChangeTriggerStatusValue, ua.DeadbandTypeAbsolute, c.deadband)
			if got := changed(f, value(t, c.last), value(t, c.now)); got != c.want {
				t.Errorf("absolute deadband %v from %v to %v: got %v, want %v", c.deadband, c.last, c.now, got, c.want)
			}
			f = filter(t, ua.DataChangeTriggerStatusValueTimestamp, ua.DeadbandTypeAbsolute, c.deadband)
			if got := changed(f, value(t, c.last), value(t, c.now)); got != c.want {
				t.Errorf("with timestamps: got %v, want %v", got, c.want)
			}
		})
	}
}

func TestNaNIsNearNaN(t *testing.T) {
	a, _ := SkimDataValue(vectorNamed(t, "double-nan-payload"), Limits{})
	b := value(t, math.NaN()) // of other bits
	for kind, want := range map[ua.DeadbandType]bool{ua.DeadbandTypeNone: true, ua.DeadbandTypeAbsolute: false} {
		if got := changed(filter(t, ua.DataChangeTriggerStatusValue, kind, 0), a, b); got != want {
			t.Errorf("deadband kind %d: got %v, want %v", kind, got, want)
		}
	}
}

func TestATimestampOfZeroIsNotAnAbsentOne(t *testing.T) {
	with, _ := SkimDataValue(unhex(t, "05 03 2a 00 00 00 00 00 00 00 00"), Limits{})
	without, _ := SkimDataValue(unhex(t, "01 03 2a"), Limits{})
	f := filter(t, ua.DataChangeTriggerStatusValueTimestamp, ua.DeadbandTypeNone, 0)
	if !changed(f, with, without) || !changed(f, without, with) {
		t.Errorf("got no change, want one")
	}
}

func TestAFilterHoldsNoValueWithoutADeadband(t *testing.T) {
	d := value(t, make([]float64, 1000))
	for kind, want := range map[ua.DeadbandType]int{ua.DeadbandTypeNone: 0, ua.DeadbandTypeAbsolute: len(d.Value.Raw)} {
		trace := filter(t, ua.DataChangeTriggerStatusValue, kind, 0).Trace(d)
		if got := len(trace.Value()); got != want {
			t.Errorf("deadband kind %d: got %d bytes held, want %d", kind, got, want)
		}
	}
}

func TestADeadbandThatIsAskedForLaterReportsTheFirstChange(t *testing.T) {
	plain, deadband := filter(t, ua.DataChangeTriggerStatusValue, ua.DeadbandTypeNone, 0),
		filter(t, ua.DataChangeTriggerStatusValue, ua.DeadbandTypeAbsolute, 10)
	trace := plain.Trace(value(t, 1.0))
	if deadband.Changed(&trace, value(t, 1.0)) || !deadband.Changed(&trace, value(t, 2.0)) {
		t.Errorf("got %v for the same value and %v for another, want false and true",
			deadband.Changed(&trace, value(t, 1.0)), deadband.Changed(&trace, value(t, 2.0)))
	}
}

func TestPercentDeadbandIsOfTheRange(t *testing.T) {
	f := filter(t, ua.DataChangeTriggerStatusValue, ua.DeadbandTypePercent, 10) // of −50…150: 20
	if changed(f, value(t, 100.0), value(t, 120.0)) || !changed(f, value(t, 100.0), value(t, 120.1)) {
		t.Errorf("10 %% of 200: got %v for 20 and %v for 20.1, want false and true",
			changed(f, value(t, 100.0), value(t, 120.0)), changed(f, value(t, 100.0), value(t, 120.1)))
	}
}

func TestFiltersThatCannotBeAreRefused(t *testing.T) {
	eu := variantOf(t, ua.NewExtensionObject(&ua.Range{Low: 0, High: 1}))
	short, err := SkimVariant(unhex(t, "16 01 00 76 03 01 08 00 00 00 00 00 00 00 00 00 00 00"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		trigger  ua.DataChangeTrigger
		kind     ua.DeadbandType
		deadband float64
		eu       Variant
		want     ua.StatusCode
	}{
		"unknown trigger":     {3, 0, 0, eu, ua.StatusBadMonitoredItemFilterInvalid},
		"unknown kind":        {1, 3, 0, eu, ua.StatusBadDeadbandFilterInvalid},
		"negative":            {1, 1, -1, eu, ua.StatusBadDeadbandFilterInvalid},
		"NaN":                 {1, 1, math.NaN(), eu, ua.StatusBadDeadbandFilterInvalid},
		"infinite":            {1, 1, math.Inf(1), eu, ua.StatusBadDeadbandFilterInvalid},
		"more than 100 %":     {1, 2, 100.1, eu, ua.StatusBadDeadbandFilterInvalid},
		"negative percent":    {1, 2, -1, eu, ua.StatusBadDeadbandFilterInvalid},
		"percent of nothing":  {1, 2, 1, Variant{}, ua.StatusBadMonitoredItemFilterUnsupported},
		"percent of a number": {1, 2, 1, variantOf(t, 1.0), ua.StatusBadMonitoredItemFilterUnsupported},
		"percent of other": {1, 2, 1, variantOf(t,
			ua.NewExtensionObject(&ua.DoubleComplexNumberType{Imaginary: 1})),
			ua.StatusBadMonitoredItemFilterUnsupported},
		"percent of no width": {1, 2, 1, variantOf(t, ua.NewExtensionObject(&ua.Range{Low: 1, High: 1})),
			ua.StatusBadMonitoredItemFilterUnsupported},
		"percent of infinity": {1, 2, 1, variantOf(t, ua.NewExtensionObject(&ua.Range{Low: -1e308, High: 1e308})),
			ua.StatusBadMonitoredItemFilterUnsupported},
		"none with odd number":     {1, 0, -1, Variant{}, 0},
		"percent of a short range": {1, 2, 1, short, ua.StatusBadMonitoredItemFilterUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewFilter(c.trigger, c.kind, c.deadband, c.eu)
			var e *Error
			if errors.As(err, &e); c.want == 0 && err != nil || c.want != 0 && (e == nil || e.Code != c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
