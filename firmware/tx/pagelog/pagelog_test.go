package pagelog

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/replay"
)

var (
	_ task.Task    = (*Log)(nil)
	_ replay.Older = (*Log)(nil)
)

var update = flag.Bool("update", false, "rewrite the golden files")

var t0 = time.Unix(1_700_000_000, 0)

// pages are a window of pages that a test makes.
type pages struct{ list []waiting }

func (p *pages) Unsaved(time.Time, time.Duration) (body []byte, since time.Time, ok bool) {
	if len(p.list) == 0 {
		return nil, time.Time{}, false
	}
	first := p.list[0]
	p.list = p.list[1:]
	return first.body, first.since, true
}

// page returns a page of one record, the n-th of its channel.
func page(channel uint16, epoch, n uint64, size int) waiting {
	var w record.ReplayWriter
	w.Reset(n)
	w.Append(&record.Replayed{Seq: n, Event: true, Payload: bytes.Repeat([]byte{byte(n)}, size)})
	return waiting{w.AppendReplay(nil, channel, epoch, nil), t0.Add(time.Duration(n) * time.Second)}
}

func open(t *testing.T, dir string, limit int64) (*Log, *pages) {
	t.Helper()
	l, p := Open(dir, limit, slog.New(slog.DiscardHandler)), &pages{}
	l.Save(p)
	return l, p
}

// numbers reads a whole pass, and returns the numbers of a channel's pages, as
// EPOCH/NUMBER.
func numbers(t *testing.T, l *Log, channel uint16) (got []string) {
	t.Helper()
	return numbersWhile(t, l, channel, func() {})
}

// numbersWhile is numbers, with something done before each read.
func numbersWhile(t *testing.T, l *Log, channel uint16, before func()) (got []string) {
	t.Helper()
	l.Rewind()
	var c cursor
	for {
		body, more := l.Next()
		if body == nil && !more {
			return got
		}
		if body == nil {
			before()
			if s, size, ok := l.toRead(&c); ok {
				l.readChunk(&c, s, size)
			}
			continue
		}
		var p record.Replay
		if err := p.Parse(body); err != nil {
			t.Fatal(err)
		}
		if p.Channel == channel {
			got = append(got, fmt.Sprintf("%d/%d", p.Epoch, p.First))
		}
	}
}

func wanted(epoch, from, to uint64) (want []string) {
	for n := from; n <= to; n++ {
		want = append(want, fmt.Sprintf("%d/%d", epoch, n))
	}
	return want
}

func TestPagesOutliveTheRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "replay")
	for epoch := range uint64(3) {
		l, p := open(t, dir, MinLimit)
		for n := range uint64(100) {
			p.list = append(p.list, page(1, epoch+1, n+1, 1000), page(2, epoch+1, n+1, 10))
		}
		l.write(t0, age)
		l.Close()
		if l.Ready() != nil || l.stats.Written != 200 {
			t.Errorf("epoch %d: ready %v, %d pages written", epoch+1, l.Ready(), l.stats.Written)
		}
	}
	l, _ := open(t, dir, MinLimit)
	want := slices.Concat(wanted(1, 1, 100), wanted(2, 1, 100), wanted(3, 1, 100))
	if got := numbers(t, l, 1); !slices.Equal(got, want) {
		t.Errorf("got %v, want all of 3 epochs in order", got)
	}
	if epoch, first, ok := l.Oldest(1); epoch != 1 || first != 1 || !ok {
		t.Errorf("oldest: got %d/%d %v", epoch, first, ok)
	}
	if since, ok := l.Since(); !ok || !since.Equal(t0.Add(time.Second)) {
		t.Errorf("since: got %v %v", since, ok)
	}
	l.Forget()
	if got := numbers(t, l, 1); got != nil {
		t.Errorf("after Forget: got %v", got)
	}
}

func TestTheOldestFileMakesRoom(t *testing.T) {
	dir := t.TempDir()
	l, p := open(t, dir, MinLimit)
	const size, n = 100_000, 1000
	for i := range uint64(n) {
		p.list = append(p.list, page(1, 1, i+1, size))
		l.write(t0, age)
	}
	got := numbers(t, l, 1)
	if len(got) < MinLimit/size*8/10 || !slices.Equal(got, wanted(1, n-uint64(len(got))+1, n)) {
		t.Errorf("got %d pages from %v on, want the newest that fit", len(got), got[0])
	}
	if l.bytes > MinLimit || l.stats.Removed == 0 || l.Ready() != nil {
		t.Errorf("%d bytes, %d files removed, ready %v", l.bytes, l.stats.Removed, l.Ready())
	}
	names, _ := os.ReadDir(dir)
	total := int64(0)
	for _, name := range names {
		info, err := name.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total != l.bytes {
		t.Errorf("the folder has %d bytes, counted %d", total, l.bytes)
	}
	if _, first, _ := l.Oldest(1); first != n-uint64(len(got))+1 {
		t.Errorf("oldest: got %d, want the first page of the pass", first)
	}
}

func TestATornFileIsReadUpToItsLastWholePage(t *testing.T) {
	dir := t.TempDir()
	l, p := open(t, dir, MinLimit)
	p.list = []waiting{page(1, 1, 1, 10), page(1, 1, 2, 10), page(1, 1, 3, 10)}
	l.write(t0, age)
	l.Close()
	path := l.segments[0].path
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	one := (len(whole) - headerSize) / 3
	for size := len(whole); size >= 0; size-- {
		if err := os.WriteFile(path, whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		l, p := open(t, dir, MinLimit)
		pages := max(size-headerSize, 0) / one
		if got := numbers(t, l, 1); !slices.Equal(got, wanted(1, 1, uint64(pages))) {
			t.Fatalf("cut at %d of %d: got %v, want %d pages", size, len(whole), got, pages)
		}
		if torn := size < headerSize || (size-headerSize)%one != 0; torn != (l.stats.Cut == 1) {
			t.Errorf("cut at %d of %d: %d counted", size, len(whole), l.stats.Cut)
		}
		if size%50 == 0 { // the next run goes on behind it
			p.list = []waiting{page(1, 2, 1, 10)}
			l.write(t0, age)
			got := numbers(t, l, 1)
			if len(got) == 0 || got[len(got)-1] != "2/1" {
				t.Errorf("cut at %d: then got %v", size, got)
			}
			l.Forget()
		}
	}
}

func TestDamageHidesTheRestOfAFile(t *testing.T) {
	dir := t.TempDir()
	name := leave(t, dir, 1, 2).segments[0].path
	leave(t, dir, 2, 2)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ := open(t, dir, MinLimit)
	for range 2 {
		if got := numbers(t, l, 1); !slices.Equal(got, []string{"1/1", "2/1", "2/2"}) || l.stats.Cut != 1 {
			t.Errorf("got %v, %d cut; want all but what is damaged, counted once", got, l.stats.Cut)
		}
	}
}

// unreadable has a file be one that cannot be read, until the function is called.
func unreadable(t *testing.T, path string) (readable func()) {
	t.Helper()
	aside := path + ".aside"
	if err := errors.Join(os.Rename(path, aside), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := errors.Join(os.Remove(path), os.Rename(aside, path)); err != nil {
			t.Fatal(err)
		}
	}
}

// leave leaves the pages of a run of an epoch on the disk, in a file of its own.
func leave(t *testing.T, dir string, epoch uint64, pages uint64) *Log {
	t.Helper()
	l, p := open(t, dir, MinLimit)
	for n := range pages {
		p.list = append(p.list, page(1, epoch, n+1, 10))
	}
	l.write(t0, age)
	l.Close()
	return l
}

func TestAReadErrorThatPassesLeavesNothingOut(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, 1, 2)
	leave(t, dir, 2, 2)
	l, _ := open(t, dir, MinLimit)
	want := slices.Concat(wanted(1, 1, 2), wanted(2, 1, 2))
	readable, reads := unreadable(t, l.segments[0].path), 0
	got := numbersWhile(t, l, 1, func() {
		if reads++; reads == 4 {
			readable()
		}
	})
	if !slices.Equal(got, want) || l.stats.Errors != 3 || l.Ready() != nil {
		t.Errorf("got %v, %d errors, ready %v; want %v, and 3", got, l.stats.Errors, l.Ready(), want)
	}
}

func TestAFileThatCannotBeReadAtTheStartIsKept(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, 1, 1)
	readable := unreadable(t, leave(t, dir, 2, 1).segments[1].path)
	if l := leave(t, dir, 3, 1); l.Ready() != nil || l.stats.Errors != 1 || l.stats.Cut != 0 {
		t.Errorf("got %v, %+v; want the next file written, and 1 error", l.Ready(), l.stats)
	}
	readable()
	l, _ := open(t, dir, MinLimit)
	if got, want := numbers(t, l, 1), []string{"1/1", "2/1", "3/1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFileThatCannotBeReadIsLeftOutInTheEnd(t *testing.T) {
	dir := t.TempDir()
	for epoch := range uint64(3) {
		l, p := open(t, dir, MinLimit)
		p.list = []waiting{page(1, epoch+1, 1, 10)}
		l.write(t0, age)
		l.Close()
	}
	l, _ := open(t, dir, MinLimit)
	first, second := unreadable(t, l.segments[0].path), unreadable(t, l.segments[1].path)
	for pass := range uint64(3) {
		got := numbers(t, l, 1)
		if want := readTries + 1 + 2*pass; !slices.Equal(got, wanted(3, 1, 1)) || l.stats.Errors != want {
			t.Errorf("got %v after %d errors, want the last after %d: a disk that fails is not waited for again",
				got, l.stats.Errors, want)
		}
		if l.Ready() == nil {
			t.Error("pages cannot be read: got ready")
		}
	}
	first()
	second()
	want := []string{"1/1", "2/1", "3/1"}
	if got := numbers(t, l, 1); !slices.Equal(got, want) || l.Ready() != nil {
		t.Errorf("once it can be read: got %v, ready %v; want %v", got, l.Ready(), want)
	}
}

func TestADiskThatFailsIsTriedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "replay")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the folder is to be
		t.Fatal(err)
	}
	l, p := open(t, dir, MinLimit)
	if l.Ready() == nil {
		t.Error("a folder that cannot be made: got ready")
	}
	p.list = []waiting{page(1, 1, 1, 10)}
	l.write(t0, age)
	if l.Ready() == nil || l.stats.Errors != 2 || len(p.list) != 0 {
		t.Errorf("got ready %v, %d errors", l.Ready(), l.stats.Errors)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	p.list = []waiting{page(1, 1, 2, 10)}
	l.write(t0.Add(time.Second), age) // too soon
	if l.Ready() == nil {
		t.Error("tried again after a second, want after 5")
	}
	l.write(t0.Add(retryEvery), age)
	if got := numbers(t, l, 1); l.Ready() != nil || !slices.Equal(got, wanted(1, 1, 2)) {
		t.Errorf("once the disk works: ready %v, got %v; want both pages", l.Ready(), got)
	}
}

func TestAWriteThatFailsLeavesNoHalfPage(t *testing.T) {
	dir := t.TempDir()
	l, p := open(t, dir, MinLimit)
	p.list = []waiting{page(1, 1, 1, 10)}
	l.write(t0, age)
	if err := l.writer.file.Close(); err != nil { // the next write fails
		t.Fatal(err)
	}
	p.list = []waiting{page(1, 1, 2, 10)}
	l.write(t0, age)
	if l.Ready() == nil {
		t.Error("a write that failed: got ready")
	}
	l.write(t0.Add(retryEvery), age)
	if got := numbers(t, l, 1); l.Ready() != nil || !slices.Equal(got, wanted(1, 1, 2)) || len(l.segments) != 2 {
		t.Errorf("ready %v, got %v in %d files; want both pages, in two files", l.Ready(), got, len(l.segments))
	}
}

func TestAnEndIsWaitedForByNothing(t *testing.T) {
	l, _ := open(t, t.TempDir(), MinLimit)
	if body, more := l.Next(); body != nil || !more {
		t.Errorf("before a pass is read: got %d bytes, more %v", len(body), more)
	}
	if got := numbers(t, l, 1); got != nil {
		t.Errorf("an empty log: got %v", got)
	}
	if _, _, ok := l.Oldest(1); ok {
		t.Error("an empty log has an oldest page")
	}
}

// golden is a segment of two pages.
func golden() []byte {
	s := segment{number: 3, epoch: 7, since: 1_700_000_001_000_000_000}
	b := s.appendHeader(nil)
	for n := range uint64(2) {
		p := page(1, 7, n+1, 3)
		b = appendPage(b, s.number, p.since.UnixNano(), p.body)
	}
	return b
}

func TestGolden(t *testing.T) {
	var got strings.Builder
	for b := golden(); len(b) > 0; {
		n := min(16, len(b))
		fmt.Fprintf(&got, "% x\n", b[:n])
		b = b[n:]
	}
	const file = "testdata/segment.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got.String() != string(want) {
		t.Errorf("got\n%swant\n%s%v", got.String(), want, err)
	}
}

// FuzzPages: any bytes are pages up to some point, and those encode as they were.
func FuzzPages(f *testing.F) {
	f.Add(golden()[headerSize:], uint64(3))
	f.Add(golden()[headerSize:], uint64(4))
	f.Add(golden()[headerSize:100], uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, number uint64) {
		at := 0
		for {
			p, size, err := parsePage(b[at:], number)
			if err != nil || size > len(b[at:]) {
				if size > pageSize+maxBody {
					t.Errorf("a page of %d bytes is waited for", size)
				}
				break
			}
			if again := appendPage(nil, number, p.since, p.body); !bytes.Equal(again, b[at:at+size]) {
				t.Errorf("got %x, want %x", again, b[at:at+size])
			}
			at += size
		}
		if pages, end, _ := parsePages(b, number); len(pages) > 0 && end != int64(at) {
			t.Errorf("%d pages end at %d, want %d", len(pages), end, at)
		}
		var s segment
		if s.parseHeader(b) == nil && !bytes.Equal(s.appendHeader(nil), b[:headerSize]) {
			t.Errorf("header %x is encoded otherwise", b[:headerSize])
		}
	})
}
