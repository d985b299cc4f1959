package aggregate

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// FuzzCompute reads samples, a request and a configuration from bytes. Each request that is not
// refused has one result for each interval, in order, with valid bits.
func FuzzCompute(f *testing.F) {
	f.Add(uint8(0), int64(0), int64(600_000_000), uint16(7), []byte("0123456789abcdefghijklmnopqrstuv"))
	f.Add(uint8(20), int64(1e17), int64(-1e17), uint16(100), make([]byte, 60))
	f.Fuzz(func(t *testing.T, which uint8, from, to int64, parts uint16, data []byte) {
		id := List()[int(which)%len(List())]
		start, end := fromTicks(from), fromTicks(to)
		step := max(start.Sub(end), end.Sub(start)) / time.Duration(parts%1000+1)
		c := Config{TreatUncertainAsBad: which&64 != 0, Stepped: which&128 != 0, UseSlopedExtrapolation: parts&1 != 0,
			PercentDataBad: uint8(parts >> 8), PercentDataGood: 100}
		var results []Value
		err := Compute(id, fuzzed(data), start, end, step, c, func(v Value) bool {
			results = append(results, v)
			return len(results) < 5000
		})
		if err != nil {
			return
		}
		if s, _ := newSlots(start, end, step); int64(len(results)) != min(s.count, 5000) {
			t.Fatalf("%d results, want %d", len(results), s.count)
		}
		for i, v := range results {
			bits := v.Status & bitsMask
			if bits&3 == 3 || bits != 0 && v.Status&infoTypeMask != infoTypeDataValue {
				t.Errorf("%s: status %#x", Name(id), uint32(v.Status))
			}
			if i == 0 || Result(id) == TypeOfSource { // some have the time of a sample
				continue
			}
			if d := v.Time.Sub(results[i-1].Time); d == 0 || d < 0 != end.Before(start) {
				t.Errorf("%s: %v after %v", Name(id), v.Time, results[i-1].Time)
			}
		}
	})
}

// fuzzed serves a sample for each 12 bytes.
func fuzzed(data []byte) Source {
	return func(yield func(Value, error) bool) {
		at := int64(-1 << 30)
		for ; len(data) >= 12; data = data[12:] {
			at += int64(int32(binary.LittleEndian.Uint32(data))) >> (data[4] % 32)
			v := Value{
				Time:     fromTicks(at),
				Value:    float64(math.Float32frombits(binary.LittleEndian.Uint32(data[5:]))),
				HasValue: data[9]&1 == 0,
				Status:   ua.StatusCode(data[10])<<24 | ua.StatusCode(data[11]),
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}
