package update

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
)

// board is a model of what starts from a card: the firmware, which believes
// what the boot partition says, the initramfs, and a PID 1 that is healthy.
type board struct {
	disk  Disk
	try   bool // the firmware's flag for one start
	sound func(version uint64) bool
}

// start runs the board until it keeps running, and returns its version.
func (b *board) start() (uint64, error) {
	for range 20 {
		c, err := Open(b.disk, 0)
		if err != nil {
			return 0, err
		}
		name := chosenFile
		if b.try {
			name = triedFile
		}
		b.try = false
		if _, c.running, err = c.prefix(name); err != nil {
			return 0, err
		}
		version, action, err := b.initramfs(c)
		if err != nil {
			return 0, err
		}
		switch action {
		case Stuck:
			return 0, fmt.Errorf("version %d: nothing boots", version)
		case Try:
			b.try = true
		case Start:
			if !b.sound(version) {
				if err := c.Refuse(); err != nil {
					return 0, err
				}
				continue
			}
			return version, c.Commit()
		}
	}
	return 0, fmt.Errorf("the board starts for ever")
}

// initramfs runs the one of a set. The kernel before it must be whole: nothing
// on the board could notice that it is not.
func (b *board) initramfs(c *Card) (uint64, Action, error) {
	m, err := c.Manifest(c.running)
	if err != nil {
		return 0, 0, fmt.Errorf("set %c is started: %w", c.running, err)
	}
	files, err := c.boot.files(c.running.folder())
	if err != nil {
		return 0, 0, err
	}
	for _, p := range m.Files {
		if err := c.match(p, files[p.Name]); err != nil {
			return 0, 0, fmt.Errorf("set %c is started: %w", c.running, err)
		}
	}
	text := make([]byte, files["initramfs"].size)
	if _, err := c.disk.ReadAt(text, files["initramfs"].at); err != nil {
		return 0, 0, err
	}
	var root Part
	if err := json.Unmarshal(bytes.TrimRight(text, "\x00"), &root); err != nil {
		return 0, 0, err
	}
	action, _ := c.Boot(root)
	if action == Start {
		if _, err := c.Check(c.running); err != nil {
			return 0, 0, fmt.Errorf("set %c runs: %w", c.running, err)
		}
	}
	return m.Version, action, nil
}

func always(uint64) bool { return true }

// recorded updates a card from version 1 to 2 with all that happens until the
// new one is committed, and returns the card before it and the log.
func recorded(t *testing.T) (*memory, []step) {
	t.Helper()
	before := newCard(t, newRelease(1))
	after := before.clone()
	private := key(t, 1)
	var stream bytes.Buffer
	r := newRelease(2)
	if err := Seal(&stream, r.m, private, r.contents...); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, after, A).Install(bytes.NewReader(stream.Bytes()), public(private), Target{"tx", "virt"}); err != nil {
		t.Fatal(err)
	}
	b := board{disk: after, sound: always}
	if got, err := b.start(); got != 2 || err != nil {
		t.Fatalf("got version %d, %v; want 2 to run", got, err)
	}
	return before, after.log
}

// sectors cuts the log into what a card writes at once.
func sectors(log []step) []step {
	var all []step
	for _, s := range log {
		if s.data == nil {
			all = append(all, s)
		}
		for at := 0; at < len(s.data); at += sectorSize {
			all = append(all, step{s.at + int64(at), s.data[at:min(at+sectorSize, len(s.data))]})
		}
	}
	return all
}

// cut returns the card as it may be when the power failed after n sectors:
// what was flushed is there, what came after may be, in any order, and one may
// be torn.
func cut(before *memory, log []step, n int, r *rand.Rand) *memory {
	d := before.clone()
	flushed := 0
	for i, s := range log[:n] {
		if s.data == nil {
			flushed = i
		}
	}
	for _, s := range log[:flushed] {
		d.put(s.data, s.at)
	}
	late := append([]step{}, log[flushed:n]...)
	r.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	if kept := r.IntN(len(late) + 1); r.IntN(4) != 0 {
		late = late[:kept]
	}
	for i, s := range late {
		if i == len(late)-1 && len(s.data) > 0 && r.IntN(2) == 0 {
			s.data = s.data[:r.IntN(len(s.data))]
		}
		d.put(s.data, s.at)
	}
	return d
}

func TestPowerCutAtAnySectorLeavesTheOldOrTheNewRelease(t *testing.T) {
	before, log := recorded(t)
	log = sectors(log)
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[uint64]int{}
	for n := range len(log) + 1 {
		for range 3 {
			b := board{disk: cut(before, log, n, r), sound: always}
			got, err := b.start()
			if err != nil || got != 1 && got != 2 {
				t.Fatalf("cut after %d of %d sectors: got version %d, %v; want 1 or 2", n, len(log), got, err)
			}
			if again, err := b.start(); err != nil || again != got {
				t.Fatalf("cut after %d of %d sectors: got version %d, %v at the next start; want %d", n, len(log), again, err, got)
			}
			seen[got]++
		}
	}
	if seen[1] == 0 || seen[2] == 0 {
		t.Errorf("got versions %v, want both", seen)
	}
}

func TestUpdateAfterAPowerCutWorks(t *testing.T) {
	before, log := recorded(t)
	log = sectors(log)
	private := key(t, 1)
	next := newRelease(3)
	var stream bytes.Buffer
	if err := Seal(&stream, next.m, private, next.contents...); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for n := 0; n <= len(log); n += 11 {
		b := board{disk: cut(before, log, n, r), sound: always}
		if _, err := b.start(); err != nil {
			t.Fatal(err)
		}
		c := open(t, b.disk, 0)
		if _, err := c.Install(bytes.NewReader(stream.Bytes()), public(private), Target{"tx", "virt"}); err != nil {
			t.Fatalf("cut after %d sectors: %v", n, err)
		}
		if got, err := b.start(); got != 3 || err != nil {
			t.Fatalf("cut after %d sectors: got version %d, %v; want 3", n, got, err)
		}
	}
}

func TestUpdateWritesNeitherFATNorFolder(t *testing.T) {
	before, log := recorded(t)
	c := open(t, before, 0)
	allowed := []extent{c.slot(B), {recordAt[0], sectorSize}, {recordAt[1], sectorSize}}
	files, err := c.boot.files("b/")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		allowed = append(allowed, e)
	}
	for _, name := range []string{chosenFile, triedFile} {
		e, err := c.boot.find(name)
		if err != nil {
			t.Fatal(err)
		}
		allowed = append(allowed, extent{e.at, sectorSize})
	}
	for _, s := range log {
		inside := s.data == nil
		for _, e := range allowed {
			inside = inside || s.at >= e.at && s.at+int64(len(s.data)) <= e.at+e.size
		}
		if !inside {
			t.Errorf("got a write of %d bytes at %d, which is no file of the inactive set", len(s.data), s.at)
		}
	}
}
