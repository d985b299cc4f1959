package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"heliograph/ci/await"
)

func open(t testing.TB, dir string, limit int64) *Queue {
	t.Helper()
	q, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func record(i, size int) []byte {
	s := fmt.Sprintf("%08d", i)
	return []byte(s + strings.Repeat(".", max(0, size-len(s))))
}

func number(t testing.TB, rec []byte) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(string(rec[:8]), "%d", &n); err != nil {
		t.Fatalf("record %q: %v", rec, err)
	}
	return n
}

// take delivers until the queue is empty and returns the numbers seen.
func take(t testing.TB, q *Queue) (all []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for q.Stats().Records > 0 {
		recs, err := q.Next(ctx, 100)
		if err != nil {
			t.Fatalf("after %d records: %v, %+v", len(all), err, q.Stats())
		}
		for _, r := range recs {
			all = append(all, number(t, r))
		}
		q.Done(len(recs))
	}
	return all
}

func wantRange(t testing.TB, got []int, from, to int) {
	t.Helper()
	if len(got) != to-from {
		t.Errorf("got %d records, want %d", len(got), to-from)
	}
	for i, n := range got {
		if n != from+i {
			t.Fatalf("place %d: got record %d, want %d", i, n, from+i)
		}
	}
}

func segments(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestOrderIsKeptWhereverRecordsWait(t *testing.T) {
	for _, down := range []bool{false, true} {
		t.Run(fmt.Sprintf("peer down %v", down), func(t *testing.T) {
			dir := t.TempDir()
			q := open(t, dir, 64<<20)
			var got []int
			const size, total = 1000, 20000 // ten times what memory takes
			for i := range total {
				q.Append(record(i, size))
				if i == 500 {
					q.PeerDown(down)
				}
				if i%4 == 0 {
					recs, err := q.Next(t.Context(), 1)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, number(t, recs[0]))
					q.Done(1)
				}
				if i%64 == 0 { // the disk keeps up: nothing may be dropped
					await.True(t, "written", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.tail.cost+q.batch.cost < memoryBytes/2 })
				}
			}
			wantRange(t, append(got, take(t, q)...), 0, total)
			await.True(t, "segments removed", func() bool { return len(segments(t, dir)) == 0 })
			if s := q.Stats(); s != (Stats{Limit: 64 << 20}) {
				t.Errorf("got %+v, want an empty queue without loss", s)
			}
		})
	}
}

func TestNextReturnsTheSameUntilDone(t *testing.T) {
	q := open(t, t.TempDir(), 1<<20)
	for i := range 5 {
		q.Append(record(i, 0))
	}
	for _, step := range []struct{ ask, from, n, done int }{{2, 0, 2, 0}, {2, 0, 2, 0}, {1, 0, 1, 1}, {9, 1, 4, 3}, {9, 4, 1, 1}} {
		recs, err := q.Next(t.Context(), step.ask)
		if err != nil || len(recs) != step.n || number(t, recs[0]) != step.from {
			t.Fatalf("asked %d: got %q, %v, want %d from %d", step.ask, recs, err, step.n, step.from)
		}
		q.Done(step.done)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Next(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("empty: got %v, want the context's error", err)
	}
	q.Close()
	if _, err := q.Next(t.Context(), 1); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: got %v, want ErrClosed", err)
	}
}

func TestCloseLosesNothing(t *testing.T) {
	dir := t.TempDir()
	next := 0
	for round := range 4 {
		q := open(t, dir, 64<<20)
		q.PeerDown(round == 2)
		for range 1500 { // less than what waits for the disk at most
			q.Append(record(next, 1000))
			next++
		}
		if _, err := q.Next(t.Context(), 7); err != nil { // handed out, not done
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	q := open(t, dir, 64<<20)
	wantRange(t, take(t, q), 0, next)
	if s := q.Stats(); s.Dropped != 0 || s.Unknown != 0 {
		t.Errorf("got %+v, want no loss", s)
	}
}

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
		got := take(t, q)
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

func TestCrashDeliversAgainFromTheLastPosition(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	q := open(t, dir, 1<<20)
	q.PeerDown(true)
	for i := range 100 {
		q.Append(record(i, 100))
	}
	await.True(t, "written", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.tail.len()+q.batch.len() == 0 })
	if _, err := q.Next(t.Context(), 40); err != nil {
		t.Fatal(err)
	}
	q.Done(40)
	await.True(t, "position saved", func() bool {
		b, err := os.ReadFile(filepath.Join(dir, positionName))
		return err == nil && len(b) == 21 && b[19] == 40
	})
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	again := open(t, copied, 1<<20)
	wantRange(t, take(t, again), 40, 100)
	if got := again.Stats().Unknown; got == 0 {
		t.Error("unknown: got 0, want the crash counted")
	}
}

func TestPowerCutAtEveryByteOfASegment(t *testing.T) {
	dir := t.TempDir()
	q := open(t, dir, 1<<20)
	for i := range 6 {
		q.Append(record(i, 9+i))
	}
	q.Close()
	content, err := os.ReadFile(segments(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(segments(t, dir)[0])
	for cut := range len(content) + 1 {
		for _, zeros := range []int{0, 50} {
			torn := t.TempDir()
			if err := os.WriteFile(filepath.Join(torn, name), append(content[:cut:cut], make([]byte, zeros)...), 0o600); err != nil {
				t.Fatal(err)
			}
			q := open(t, torn, 1<<20)
			got := take(t, q)
			wantRange(t, got, 0, len(got))
			if cut < len(content) && len(got) < 6 && q.Stats().Unknown == 0 && cut > headerSize && zeros > 0 {
				t.Errorf("cut at %d: %d records and no loss reported", cut, len(got))
			}
			q.Append(record(99, 10)) // goes on
			if next := take(t, q); len(next) != 1 || next[0] != 99 {
				t.Errorf("cut at %d: then got %v, want 99", cut, next)
			}
			q.Close()
		}
	}
}

func TestFullDiskKeepsWorkingInMemory(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("not proved: a full disk, because mounting a tmpfs needs root:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	q := open(t, dir, 64<<20)
	q.PeerDown(true)
	const total = 6000
	for i := range total {
		q.Append(record(i, 1000))
		if i%100 == 0 {
			await.True(t, "batch handled", func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.batch.len() == 0 })
		}
	}
	await.True(t, "fault", func() bool { return q.Stats().Fault != "" })
	got := take(t, q)
	s := q.Stats()
	if len(got)+int(s.Dropped) != total || got[len(got)-1] != total-1 {
		t.Errorf("got %d delivered and %d dropped, want %d together", len(got), s.Dropped, total)
	}
	for i := 1; i < len(got); i++ {
		if got[i] <= got[i-1] {
			t.Fatalf("record %d after %d", got[i], got[i-1])
		}
	}
}

func TestUnusableFolderKeepsWorkingInMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	q := open(t, path, 1<<20)
	for i := range 100 {
		q.Append(record(i, 0))
	}
	wantRange(t, take(t, q), 0, 100)
	if q.Stats().Fault == "" {
		t.Error("fault: got none")
	}
}

func TestMemoryPathDoesNotAllocatePerRecord(t *testing.T) {
	q := open(t, t.TempDir(), 1<<20)
	rec := make([]byte, 200)
	got := testing.AllocsPerRun(1000, func() {
		q.Append(rec)
		if _, err := q.Next(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		q.Done(1)
	})
	if got > 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

func BenchmarkMemory(b *testing.B) {
	q := open(b, b.TempDir(), 64<<20)
	rec := make([]byte, 200)
	for b.Loop() {
		q.Append(rec)
		recs, err := q.Next(b.Context(), 100)
		if err != nil {
			b.Fatal(err)
		}
		q.Done(len(recs))
	}
}

func FuzzSegment(f *testing.F) {
	valid := appendRecord(appendHeader(nil, 3), 3, entry{index: 3, data: []byte("x")})
	f.Add(valid)
	f.Add(appendTrailer(valid, 3, 3, 1))
	path := filepath.Join(f.TempDir(), "s"+suffix)
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, whole, err := openSegment(path, 0)
		if err == nil && (s.size > int64(len(content)) || s.unread < 0 || int64(s.unread) > s.size || whole && s.offset > s.size) {
			t.Errorf("got %+v of %d bytes", s, len(content))
		}
	})
}

func TestWhatIsDroppedIsTold(t *testing.T) {
	q, err := Open(t.TempDir(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	q.Append(make([]byte, 2000)) // before anybody wants to know
	var told uint64
	q.OnDrop(func(n uint64) { told += n })
	for range 20 {
		q.Append(make([]byte, 200))
	}
	if want := q.Stats().Dropped; told != want || told < 10 {
		t.Errorf("got %d told, want the %d that were dropped", told, want)
	}
}

// waiting is how many records wait for the disk.
func (q *Queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tail.len() + q.batch.len()
}

// closed ends the queue and returns how many records it told of as dropped.
func closed(t *testing.T, q *Queue) (told uint64) {
	t.Helper()
	q.OnDrop(func(n uint64) { told += n })
	err := q.Close()
	if s := q.Stats(); s.Dropped != told || (err == nil) != (told == 0) {
		t.Errorf("closed with %v: %+v, %d told", err, s, told)
	}
	return told
}

func TestWhatTheDiskDoesNotTakeAtTheEndIsTold(t *testing.T) {
	for _, down := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		q := open(t, path, 1<<20)
		q.PeerDown(down)
		for i := range 100 {
			q.Append(record(i, 0))
		}
		if _, err := q.Next(t.Context(), 7); err != nil { // handed out, not done
			t.Fatal(err)
		}
		if told := closed(t, q); told != 100 {
			t.Errorf("peer down %v: got %d told, want 100", down, told)
		}
	}
}

// TestAFullDiskAtTheEnd: what the next run delivers and what is told are all records, each once.
func TestAFullDiskAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512k"); err != nil {
		t.Skip("not proved: a full disk, because mounting a tmpfs needs root:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	q := open(t, dir, 64<<20)
	q.PeerDown(true)
	const total = 1500
	for i := range total {
		q.Append(record(i, 1000))
		if i%100 == 0 {
			await.True(t, "written or failed", func() bool { return q.waiting() == 0 || q.Stats().Fault != "" })
		}
	}
	await.True(t, "fault", func() bool { return q.Stats().Fault != "" })
	recs, err := q.Next(t.Context(), 100) // from disk, not done
	if err != nil || number(t, recs[0]) != 0 {
		t.Fatalf("got %q, %v", recs, err)
	}
	told := closed(t, q)
	got := take(t, open(t, dir, 64<<20))
	wantRange(t, got, 0, len(got))
	if told == 0 || len(got) == 0 || len(got)+int(told) != total {
		t.Errorf("got %d told and %d in the next run, want %d together", told, len(got), total)
	}
}

func TestVolatileIsWhatACrashWouldLose(t *testing.T) {
	q := open(t, t.TempDir(), 64<<20)
	for i := range 30 {
		q.Append(record(i, 100))
	}
	recs, err := q.Next(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Volatile(); got != 30 {
		t.Errorf("in memory: got %d, want 30", got)
	}
	q.Done(len(recs))
	if got := q.Volatile(); got != 20 {
		t.Errorf("when 10 are delivered: got %d, want 20", got)
	}
	q.PeerDown(true)
	for i := range 50 {
		q.Append(record(30+i, 100))
	}
	await.True(t, "all synced", func() bool { return q.Volatile() == 0 })
	wantRange(t, take(t, q), 10, 80)
}

// TestWhatIsNotSyncedIsVolatile looks at a segment whose writer does not sync by itself.
func TestWhatIsNotSyncedIsVolatile(t *testing.T) {
	q := open(t, t.TempDir(), 64<<20)
	close(q.stop)
	<-q.ended
	q.stop, q.ended = make(chan struct{}), make(chan struct{})
	close(q.ended) // for Close
	q.PeerDown(true)
	volatile := func(when string, want uint64) {
		t.Helper()
		if got := q.Volatile(); got != want {
			t.Errorf("%s: got %d, want %d", when, got, want)
		}
	}
	add := func(from, to int) {
		for i := from; i < to; i++ {
			q.Append(record(i, 100))
		}
	}
	add(0, 10)
	volatile("not written", 10)
	q.w.write()
	volatile("written", 10)
	q.w.sync()
	volatile("synced", 0)
	add(10, 30)
	q.w.write()
	volatile("more written", 20)
	if _, err := q.Next(t.Context(), 15); err != nil {
		t.Fatal(err)
	}
	volatile("read back", 20)
	q.Done(15)
	volatile("delivered", 15)
	q.w.sync()
	volatile("all synced", 0)
}
