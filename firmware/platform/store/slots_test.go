package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func newPlatter() *platter {
	return &platter{left: 1 << 30, names: map[string]*inode{}, durable: map[string]*inode{}}
}

// number is a record that says which one it is, in two sectors.
func number(n int) []byte { return fmt.Appendf(nil, "%0600d", n) }

func readNumber(t *testing.T, l layer) (int, error) {
	t.Helper()
	s, err := openSlots(l, "slots", 700)
	if err != nil {
		t.Fatal(err)
	}
	record, err := s.Read()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(record))
	if err != nil || len(record) != 600 {
		t.Fatalf("read %q, which was not written", record)
	}
	return n, nil
}

// written writes records to fresh slots, every third synced, until the power
// fails, and returns the last one that Write and Sync returned for.
func written(t *testing.T, p *platter, upTo int) (last, synced int) {
	t.Helper()
	s, err := openSlots(p, "slots", 700)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= upTo; n++ {
		if s.Write(number(n)) != nil {
			return last, synced
		}
		if last = n; n == 1 {
			synced = 1 // the first one makes the file
		}
		if n%3 == 0 {
			if s.Sync() != nil {
				return last, synced
			}
			synced = n
		}
	}
	return last, synced
}

const enough = 12 // records: each slot is used several times

func TestAKillAtEveryStepOfAWriteLeavesTheLastRecord(t *testing.T) {
	for steps := 0; ; steps++ {
		p := newPlatter()
		p.left = steps
		last, _ := written(t, p, enough)
		// The process is gone, the page cache is not.
		got, err := readNumber(t, p)
		if last == 0 && (errors.Is(err, fs.ErrNotExist) || got == 1) {
			continue
		}
		if err != nil || got != last && got != last+1 {
			t.Fatalf("kill at step %d: got record %d, %v, want %d", steps, got, err, last)
		}
		if last == enough {
			return
		}
	}
}

// TestAPowerCutAtEveryStep lets any slot that was written since the last sync
// be on the disk, not on it, or torn, each for itself.
func TestAPowerCutAtEveryStepLeavesTheSyncedRecordOrALaterOne(t *testing.T) {
	for steps := 0; ; steps++ {
		p := newPlatter()
		p.left = steps
		last, synced := written(t, p, enough)
		node := p.durable["slots"]
		if node == nil {
			if synced != 0 {
				t.Fatalf("cut at step %d: no file, want record %d", steps, synced)
			}
			continue
		}
		for _, content := range mixtures(node, slotSize(700)) {
			after := newPlatter()
			after.names["slots"] = &inode{content: content, synced: content}
			if got, err := readNumber(t, after); err != nil || got < synced || got > last+1 {
				t.Fatalf("cut at step %d: got record %d, %v, want one of %d to %d", steps, got, err, synced, last+1)
			}
		}
		if last == enough {
			return
		}
	}
}

// mixtures returns a file whose slots are each as synced, as written last, or torn in between.
func mixtures(node *inode, size int) (all [][]byte) {
	all = [][]byte{nil}
	for at := 0; at < len(node.synced); at += size {
		was, is := node.synced[at:at+size], node.content[at:at+size]
		ways := [][]byte{is}
		if !bytes.Equal(was, is) {
			const cut = sector
			ways = append(ways, was, append(bytes.Clone(is[:cut]), was[cut:]...),
				append(bytes.Clone(was[:cut]), is[cut:]...),
				append(bytes.Clone(is[:100]), make([]byte, size-100)...))
		}
		var longer [][]byte
		for _, before := range all {
			for _, way := range ways {
				longer = append(longer, append(bytes.Clone(before), way...))
			}
		}
		all = longer
	}
	return all
}

func TestSlotsAreReadByTheNextRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	for run := range 5 {
		s, err := OpenSlots(path, 1000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Read()
		if run == 0 && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("before the first: got %v, want fs.ErrNotExist", err)
		}
		if want := fmt.Sprint(run*10 - 1); run > 0 && (err != nil || string(got) != want) {
			t.Errorf("run %d: got %q, %v, want %q", run, got, err, want)
		}
		for n := range 10 {
			if err := s.Write([]byte(fmt.Sprint(run*10 + n))); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Sync(); err != nil {
			t.Error(err)
		}
		s.Close()
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != slotCount*slotUnit || info.Mode().Perm() != 0o600 {
		t.Errorf("file: got %d bytes, mode %o, %v", info.Size(), info.Mode().Perm(), err)
	}
}

func TestSlotsOfAnotherSizeAreTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	want := ""
	for _, size := range []int{100, 9000, 5000} {
		s, err := OpenSlots(path, size)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); want != "" && (err != nil || string(got) != want) {
			t.Errorf("size %d: got %q, %v, want %q", size, got, err, want)
		}
		want = fmt.Sprint(size)
		for _, record := range []string{"another", want} {
			if err := s.Write([]byte(record)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}
	s, _ := OpenSlots(path, 5000)
	if err := s.Write(make([]byte, 20_000)); err == nil {
		t.Error("a record larger than a slot: got nil, want an error")
	}
	if got, err := s.Read(); err != nil || string(got) != want {
		t.Errorf("after the refusal: got %q, %v, want %q", got, err, want)
	}
}

func TestDamagedSlotsAreReportedAndRecreated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "slots")
	for name, content := range map[string][]byte{"empty": {}, "short": []byte("torn"),
		"zeros": make([]byte, 3*slotUnit)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenSlots(path, 100)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Read(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: got %q, %v, want ErrCorrupt", name, got, err)
		}
		if err := s.Write([]byte(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
		again, _ := OpenSlots(path, 100)
		if got, err := again.Read(); err != nil || string(got) != name {
			t.Errorf("%s, recreated: got %q, %v", name, got, err)
		}
	}
}

func TestSlotsWriteAgainWhenTheDiskDoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone", "slots")
	s, err := OpenSlots(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	if s.Write([]byte("a")) == nil {
		t.Error("no folder: got nil, want an error")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.Write([]byte("a")); err != nil {
		t.Errorf("when the folder is there: %v", err)
	}
	again, _ := OpenSlots(path, 100)
	if got, err := again.Read(); err != nil || string(got) != "a" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestASyncThatFailed: the kernel reports what it could not write once, and
// then calls the page clean. The same record has to be written again.
func TestARecordWhoseSyncFailedIsWrittenAgain(t *testing.T) {
	p := newPlatter()
	s, _ := openSlots(p, "slots", 700)
	for n := range 2 {
		if err := s.Write(number(n)); err != nil {
			t.Fatal(err)
		}
	}
	p.left = 0
	if s.Sync() == nil {
		t.Fatal("got nil, want an error")
	}
	p.left = 1 << 30
	node := p.names["slots"]
	copy(node.content, node.synced) // the write never reached the disk
	if err := s.Write(number(1)); err != nil {
		t.Fatal(err)
	}
	if got, err := readNumber(t, p); err != nil || got != 1 {
		t.Errorf("got %d, %v, want 1", got, err)
	}
}

func FuzzDecodeSlot(f *testing.F) {
	s, _ := OpenSlots("x", 100)
	f.Add(bytes.Clone(s.encode([]byte("a record"), 7)))
	f.Add([]byte(slotMagic))
	f.Fuzz(func(t *testing.T, slot []byte) {
		record, generation, ok := decodeSlot(slot)
		if !ok {
			return
		}
		s, err := OpenSlots("x", max(1, len(record)))
		if err != nil {
			t.Fatal(err)
		}
		if again := s.encode(record, generation); !bytes.Equal(again[:slotHeader+len(record)],
			slot[:slotHeader+len(record)]) {
			t.Errorf("encodes to %x, was %x", again, slot)
		}
	})
}
