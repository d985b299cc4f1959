package uabinary

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

func TestDateTimeGolden(t *testing.T) {
	f, err := os.Open("testdata/datetime.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	vectors := 0
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if len(field) != 3 || field[0] == "#" {
			continue
		}
		vectors++
		raw, err := hex.DecodeString(field[1])
		if err != nil {
			t.Fatalf("%s: %v", field[0], err)
		}
		at, err := time.Parse(time.RFC3339Nano, field[2])
		if err != nil {
			t.Fatalf("%s: %v", field[0], err)
		}
		if got := AppendDateTime(nil, at); !bytes.Equal(got, raw) {
			t.Errorf("%s: encoded as %x, want %x", field[0], got, raw)
		}
		if got := Time(int64(binary.LittleEndian.Uint64(raw))); got != at {
			t.Errorf("%s: decoded as %v, want %v", field[0], got, at)
		}
	}
	if vectors < 10 {
		t.Errorf("got %d vectors", vectors)
	}
}

func TestDateTimeBounds(t *testing.T) {
	last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for name, tt := range map[string]struct {
		at    time.Time
		ticks int64
	}{
		"zero Time":        {time.Time{}, 0},
		"1601":             {time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), 0},
		"1601, below 1 µs": {time.Date(1601, 1, 1, 0, 0, 0, 99, time.UTC), 0},
		"before 1601":      {time.Date(1600, 12, 31, 23, 59, 59, 999_999_999, time.UTC), 0},
		"9999":             {last, math.MaxInt64},
		"end of 9999":      {last.Add(999 * time.Millisecond), math.MaxInt64},
		"year 30000":       {time.Date(30000, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		"farthest future":  {time.Unix(math.MaxInt64, 0), math.MaxInt64},
		"farthest past":    {time.Unix(math.MinInt64, 0), 0},
	} {
		if got := Ticks(tt.at); got != tt.ticks {
			t.Errorf("%s: got %d, want %d", name, got, tt.ticks)
		}
	}
	lastTicks := int64(maxSecond-minSecond) * ticksPerSecond
	for name, tt := range map[string]struct {
		ticks int64
		at    time.Time
	}{
		"MinValue":      {0, time.Time{}},
		"negative":      {-1, time.Time{}},
		"most negative": {math.MinInt64, time.Time{}},
		"9999":          {lastTicks, last},
		"behind 9999":   {lastTicks + ticksPerSecond, last},
		"MaxValue":      {math.MaxInt64, last},
	} {
		if got := Time(tt.ticks); got != tt.at {
			t.Errorf("%s: got %v, want %v", name, got, tt.at)
		}
	}
}

// FuzzDateTime: every DateTime between the bounds survives the way to a time and back,
// order is kept, and the library writes the same where it can.
func FuzzDateTime(f *testing.F) {
	for _, ticks := range []int64{math.MinInt64, -1, 0, 1, UnixEpoch, UnixEpoch - 1, 133_000_000_000_000_000,
		math.MaxInt64} {
		f.Add(ticks, ticks+1)
	}
	f.Fuzz(func(t *testing.T, a, b int64) {
		at := Time(a)
		want := a
		switch {
		case a <= 0:
			want = 0
		case a >= (maxSecond-minSecond)*ticksPerSecond:
			want = math.MaxInt64
		}
		if got := Ticks(at); got != want {
			t.Fatalf("%d: got %d back by way of %v, want %d", a, got, at, want)
		}
		if (a <= b) && Time(b).Before(at) {
			t.Fatalf("%d is %v, and %d before that, %v", a, at, b, Time(b))
		}
		if year := at.Year(); year >= 1678 && year < 2262 { // its clock counts nanoseconds
			w := ua.NewBuffer(nil)
			w.WriteTime(at)
			if got := AppendDateTime(nil, at); !bytes.Equal(got, w.Bytes()) {
				t.Fatalf("%v: got %x, the library has %x", at, got, w.Bytes())
			}
		}
	})
}
