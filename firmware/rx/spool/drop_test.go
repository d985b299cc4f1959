package spool

import (
	"testing"
)

func TestBeyondTheLimitTheOldestGoAndAreCounted(t *testing.T) {
	for _, down := range []bool{false, true} {
		q := open(t, t.TempDir(), 1<<20)
		q.PeerDown(down)
		const total = 5000
		for i := range total {
			q.Append(record(i, 1000))
		}
		if s := q.Stats(); s.Bytes > s.Limit {
			t.Errorf("got %d bytes, want at most %d", s.Bytes, s.Limit)
		}
		got := takeAll(t, q)
		dropped := int(q.Stats().Dropped)
		if len(got)+dropped != total || len(got) < 500 {
			t.Errorf("down %v: got %d delivered and %d dropped, want %d together", down, len(got), dropped, total)
		}
		for i := 1; i < len(got); i++ {
			if got[i] <= got[i-1] {
				t.Fatalf("record %d after %d", got[i], got[i-1])
			}
		}
		if got[len(got)-1] != total-1 {
			t.Errorf("newest: got %d, want %d", got[len(got)-1], total-1)
		}
	}
}

func TestOversizedRecordIsCounted(t *testing.T) {
	q := open(t, t.TempDir(), 1<<10)
	q.Append(make([]byte, 2<<10))
	if s := q.Stats(); s.Dropped != 1 || s.Records != 0 {
		t.Errorf("got %+v, want one dropped", s)
	}
}

func TestWhatIsDroppedIsReported(t *testing.T) {
	q, err := Open(t.TempDir(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.Append(make([]byte, 2000)) // before OnDrop
	var reported uint64
	q.OnDrop(func(n uint64) { reported += n })
	for range 20 {
		q.Append(make([]byte, 200))
	}
	if want := q.Stats().Dropped; reported != want || reported < 10 {
		t.Errorf("got %d reported, want the %d that were dropped", reported, want)
	}
}
