package opcua

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

const noon = 133_000_000_000_000_000 // ticks, in 2022

// dataValue is a DataValue with a source timestamp around a Variant.
func dataValue(variant []byte, ticks int64) []byte {
	b := append([]byte{hasValue | hasSourceTime}, variant...)
	return binary.LittleEndian.AppendUint64(b, uint64(ticks))
}

func double(f float64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{byte(ua.TypeIDDouble)}, math.Float64bits(f))
}

func number(t ua.TypeID, n int64) []byte {
	return append([]byte{byte(t)}, binary.LittleEndian.AppendUint64(nil, uint64(n))[:sizes[t]]...)
}

func skim(t testing.TB, raw []byte) rawvalue.DataValue {
	t.Helper()
	v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
	if err != nil || len(v.Raw) != len(raw) {
		t.Fatalf("test value %x is not a DataValue: %v", raw, err)
	}
	return v
}

// TestValuesRoundTripBitForBit also fixes what a value costs on the link.
func TestValuesRoundTripBitForBit(t *testing.T) {
	now := int64(noon)
	cases := map[string]struct {
		raw  []byte
		size int
	}{
		"whole double":         {dataValue(double(100), now), 2},
		"zero":                 {dataValue(double(0), now), 1},
		"minus zero":           {dataValue(double(math.Copysign(0, -1)), now), 5},
		"two decimals":         {dataValue(double(72.31), now), 3},
		"negative decimals":    {dataValue(double(-1234.567), now), 4},
		"widened float":        {dataValue(double(float64(float32(0.1))), now), 5},
		"random double":        {dataValue(double(math.Pi), now), 9},
		"huge double":          {dataValue(double(1e300), now), 9},
		"infinity":             {dataValue(double(math.Inf(-1)), now), 5},
		"NaN with a payload":   {dataValue(double(math.Float64frombits(0x7ff0dead00000001)), now), 9},
		"float":                {dataValue(append([]byte{10}, 1, 2, 3, 4), now), 5},
		"true":                 {dataValue([]byte{1, 1}, now), 2},
		"odd Boolean":          {dataValue([]byte{1, 0xa5}, now), 2},
		"SByte -1":             {dataValue(number(ua.TypeIDSByte, -1), now), 2},
		"Int16 128":            {dataValue(number(ua.TypeIDInt16, 128), now), 3},
		"Int32 -1":             {dataValue(number(ua.TypeIDInt32, -1), now), 2},
		"Int64 smallest":       {dataValue(number(ua.TypeIDInt64, math.MinInt64), now), 9},
		"UInt64 largest":       {dataValue(number(ua.TypeIDUint64, -1), now), 9},
		"UInt32 0":             {dataValue(number(ua.TypeIDUint32, 0), now), 1},
		"string":               {dataValue([]byte{12, 3, 0, 0, 0, 'a', 'b', 'c'}, now), 4},
		"empty string":         {dataValue([]byte{12, 0, 0, 0, 0}, now), 1},
		"null string":          {dataValue([]byte{12, 0xff, 0xff, 0xff, 0xff}, now), 6},
		"array":                {dataValue([]byte{0x83, 2, 0, 0, 0, 7, 8}, now), 8},
		"matrix without rows":  {dataValue([]byte{0xc3, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0}, now), 18},
		"null Variant":         {dataValue([]byte{0}, now), 2},
		"no Variant":           {binary.LittleEndian.AppendUint64([]byte{hasSourceTime}, noon), 1},
		"no source timestamp":  {append([]byte{hasValue}, double(1)...), 2},
		"nothing":              {[]byte{0}, 1},
		"year 1601":            {dataValue(double(1), 0), 12},
		"year 9999":            {dataValue(double(1), 2_650_467_743_990_000_000), 12},
		"the year 1970 itself": {dataValue(double(1), uabinary.UnixEpoch), 12},
		"before 1601":          {dataValue(double(1), math.MinInt64), 12},
		"picoseconds": {append(append([]byte{hasValue | hasSourceTime | hasSourcePico}, double(1)...), 0, 1,
			2, 3, 4, 5, 6, 7, 8, 9), 12},
		"bad, and no value":     {[]byte{hasStatus, 0, 0, 0x05, 0x80}, 5},
		"uncertain and a value": {[]byte{hasValue | hasStatus, 1, 1, 0, 0, 0x90, 0x40}, 6},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			payload, at := AppendValue(nil, skim(t, c.raw))
			got, err := ParseValue(nil, payload, at)
			if err != nil || !bytes.Equal(got, c.raw) {
				t.Errorf("came back as %x, %v; want %x (payload %x)", got, err, c.raw, payload)
			}
			if len(payload) != c.size {
				t.Errorf("costs %d bytes, want %d: %x", len(payload), c.size, payload)
			}
		})
	}
}

func TestDecimalsRoundTripBitForBit(t *testing.T) {
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range 200_000 {
		f := math.Round(r.NormFloat64()*1e6) / math.Pow(10, float64(r.IntN(12)))
		if i%4 == 0 {
			f = math.Float64frombits(r.Uint64())
		}
		raw := dataValue(double(f), noon)
		payload, at := AppendValue(nil, skim(t, raw))
		if got, err := ParseValue(nil, payload, at); err != nil || !bytes.Equal(got, raw) {
			t.Fatalf("seed %d: %v came back as %x, %v; want %x", seed, f, got, err, raw)
		}
	}
}

func TestServerTimestampsAreNotSent(t *testing.T) {
	raw := append(append([]byte{hasValue | 0x08}, double(1)...), 1, 2, 3, 4, 5, 6, 7, 8)
	payload, at := AppendValue(nil, skim(t, raw))
	want := append([]byte{hasValue}, double(1)...)
	if got, err := ParseValue(nil, payload, at); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %x, %v; want %x", got, err, want)
	}
}

// TestGoldenValues holds payloads written by hand from the package comment.
func TestGoldenValues(t *testing.T) {
	for payload, want := range map[string]string{
		"80":                     "00",
		"8506":                   "010b333333333333e33f",
		"830000c03f":             "010b000000000000f83f",
		"96e703":                 "0106e7030000",
		"8f616263":               "010c03000000616263",
		"810b000000000000f0bf":   "010b000000000000f0bf",
		"a000000580":             "0200000580",
		"4001020304050607080000": "040102030405060708",
		"4001020304050607080100": "1401020304050607080100",
		"b600000580ff":           "0306ffffffff00000580",
		"9901":                   "01090100000000000000",
	} {
		got, err := ParseValue(nil, hexBytes(t, payload), time.Time{})
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s was read as %x, %v; want %s", payload, got, err, want)
		}
	}
}

func hexBytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMalformedValuesAreRefused(t *testing.T) {
	for name, payload := range map[string]string{
		"nothing":               "",
		"two kinds of time":     "c0",
		"status cut":            "200000",
		"ticks cut":             "4000000000",
		"value without a form":  "8001",
		"Variant cut":           "810b0000",
		"bytes after a Variant": "81000000",
		"long Int16":            "94010203",
		"short Double":          "8201",
		"unknown form":          "9f",
		"Boolean's form alone":  "90",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ParseValue(nil, hexBytes(t, payload), time.Unix(1, 0)); err == nil {
				t.Errorf("%s was read as %x", payload, got)
			}
		})
	}
}

func TestValuesDoNotAllocate(t *testing.T) {
	v := skim(t, dataValue(double(72.31), noon))
	payload, out := make([]byte, 0, 64), make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		p, at := AppendValue(payload, v)
		out, _ = ParseValue(out[:0], p, at)
	}); n != 0 {
		t.Errorf("%v allocations per value, want 0", n)
	}
}

// FuzzValue: what is read from a payload is a DataValue, and writing it again
// gives one that reads the same.
func FuzzValue(f *testing.F) {
	f.Add([]byte{0x86, 0x3f, 0x1c}, int64(1))
	f.Add([]byte{0x81, 0x0c, 0, 0, 0, 0}, int64(1))
	f.Fuzz(func(t *testing.T, payload []byte, seconds int64) {
		at := time.Unix(seconds%1e9+1, 0)
		raw, err := ParseValue(nil, payload, at)
		if err != nil {
			return
		}
		v, err := rawvalue.SkimDataValue(raw, rawvalue.Limits{})
		if err != nil || len(v.Raw) != len(raw) {
			t.Fatalf("payload %x became %x, which is not a DataValue: %v", payload, raw, err)
		}
		again, at := AppendValue(nil, v)
		back, err := ParseValue(nil, again, at)
		if err != nil || !bytes.Equal(back, raw) {
			t.Fatalf("%x was written as %x and came back as %x, %v", raw, again, back, err)
		}
	})
}

func BenchmarkValue(b *testing.B) {
	v := skim(b, dataValue(double(72.31), noon))
	var payload, out []byte
	var at time.Time
	for b.Loop() {
		payload, at = AppendValue(payload[:0], v)
		out, _ = ParseValue(out[:0], payload, at)
	}
}

func TestWorsenChangesOnlyTheStatus(t *testing.T) {
	good, _ := AppendValue(nil, skim(t, dataValue(double(72.31), noon)))
	bad, _ := AppendValue(nil, skim(t, []byte{hasStatus, 0, 0, 0, 0x80}))
	limited, _ := AppendValue(nil, skim(t, append([]byte{hasValue | hasStatus},
		append(double(1), 0x00, 0x05, 0, 0)...)))
	for name, c := range map[string]struct {
		payload []byte
		worse   bool
	}{"good": {good, true}, "good with info bits": {limited, true}, "bad": {bad, false}, "nothing": {nil, false},
		"cut": {[]byte{headStatus, 1}, false}} {
		got := Worsen(c.payload, ua.StatusUncertainLastUsableValue)
		if (got != nil) != c.worse {
			t.Errorf("%s: got %x, want one: %v", name, got, c.worse)
		}
		if got == nil {
			continue
		}
		at, _ := RecordTime(noon)
		raw, err := ParseValue(nil, got, at)
		before, _ := ParseValue(nil, c.payload, at)
		if err != nil || skim(t, raw).Status != ua.StatusUncertainLastUsableValue ||
			!bytes.Equal(skim(t, raw).Value.Raw, skim(t, before).Value.Raw) ||
			skim(t, raw).SourceTime != skim(t, before).SourceTime {
			t.Errorf("%s: got %x (%v), want %x with another status", name, raw, err, before)
		}
	}
}
