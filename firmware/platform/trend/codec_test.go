package trend

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"heliograph/ci/golden"
)

// kept is a ring that has run for a while, and when it was kept.
func filled() (*Ring, time.Time) {
	r, count := New(figures()), 0.0
	end := noon.Add(5*time.Hour + 2*time.Minute)
	run(r, noon, end, func(at time.Time) []float64 {
		count += float64(at.Minute())
		return []float64{count, float64(at.Second()), float64(at.Minute())}
	})
	return r, end
}

func TestGoldenRecord(t *testing.T) {
	r, _ := filled()
	golden.Compare(t, "trend.bin", r.Encode())
}

func text(t *testing.T, r *Ring, now time.Time) (all []string) {
	t.Helper()
	for _, span := range []string{"1d", "1mo"} {
		h, _ := r.History(span, now)
		b, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}

// What is kept goes on as if there had been no restart.
func TestRestartLosesNothingOfDayAndMonth(t *testing.T) {
	r, now := filled()
	again := New(figures())
	if err := again.Restore(r.Encode()); err != nil {
		t.Fatal(err)
	}
	if got, want := text(t, again, now), text(t, r, now); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !bytes.Equal(again.Encode(), r.Encode()) {
		t.Error("what was restored encodes differently")
	}
	if again.Newest() != noon.Add(5*time.Hour) {
		t.Errorf("newest: got %v", again.Newest())
	}
	if points := values(t, again, "10m", 0, now); !isGap(points[299]) {
		t.Errorf("ten minutes: got %v, want a gap", points[299])
	}
	r.last = time.Time{} // the time of the restart is a gap
	for _, one := range []*Ring{r, again} {
		run(one, now.Add(30*time.Second), now.Add(4*time.Minute),
			func(time.Time) []float64 { return []float64{1, 2, 3} })
	}
	if got, want := text(t, again, now.Add(4*time.Minute)), text(t, r, now.Add(4*time.Minute)); !reflect.DeepEqual(got,
		want) {
		t.Errorf("later: got\n%s\nwant\n%s", got, want)
	}
}

func TestOtherFiguresAreSkipped(t *testing.T) {
	r, now := filled()
	other := New([]Figure{{"temperature", "°C", Mean}, {"latency_p50", "s", Mean}})
	if err := other.Restore(r.Encode()); err != nil {
		t.Fatal(err)
	}
	h, _ := other.History("1d", now)
	if isGap(h.Series[1].Values[280]) || !isGap(h.Series[0].Values[280]) {
		t.Errorf("got %v, want latency_p50 alone", h.Series)
	}
}

func TestDamagedRecordIsRefused(t *testing.T) {
	r, now := filled()
	good := r.Encode()
	with := func(at int, b ...byte) []byte {
		bad := bytes.Clone(good)
		copy(bad[at:], b)
		return bad
	}
	infinite := binary.BigEndian.AppendUint64(nil, 0x7FF0_0000_0000_0000)
	for name, b := range map[string][]byte{
		"empty": nil, "another version": with(0, 2), "more spans": with(1, 9), "cut": good[:len(good)-1],
		"more after it": append(bytes.Clone(good), 0), "no points": with(6, 0, 0), "too many points": with(6, 255, 255),
		"no step": with(2, 0, 0, 0, 0), "after the year 9999": with(8, 0x7F, 0xFF), "before 1970": with(8, 0xFF),
		"infinite": with(2+15+1+len("frames"), infinite...), "more figures": with(16, 255),
	} {
		into := New(figures())
		if err := into.Restore(b); err == nil {
			t.Errorf("%s: got no error", name)
		}
		if got, want := text(t, into, now), text(t, New(figures()), now); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the ring is not empty", name)
		}
	}
}

func FuzzRestore(f *testing.F) {
	r, _ := filled()
	f.Add(r.Encode())
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := New(figures())
		if r.Restore(b) != nil {
			return
		}
		again := New(figures())
		if err := again.Restore(r.Encode()); err != nil || !bytes.Equal(again.Encode(), r.Encode()) {
			t.Fatalf("%v: what was restored encodes differently", err)
		}
		now := r.Newest()
		r.Add(now, []float64{1, 2, 3})
		r.Add(now.Add(time.Second), []float64{2, 2, 3})
		text(t, r, now.Add(time.Minute)) // is JSON
	})
}
