package update

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"heliograph/firmware/platform/release"
)

// board is a model of what starts from a card: the firmware, which trusts
// the boot partition, the initramfs, and a PID 1 that is healthy.
type board struct {
	disk  Disk
	try   bool // the firmware's flag for one start
	old   bool // the firmware knows nothing of this flag
	cut   bool // the power goes in each trial, before it is judged
	hangs bool // the kernel of each trial hangs, and the watchdog resets the board
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
		if b.try && !b.old {
			name = triedFile
		}
		trial := b.try && !b.old
		b.try = false
		if trial && b.hangs {
			continue
		}
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
			if trial && b.cut {
				continue
			}
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
	var root release.Part
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

// history is an update with all that happens until it is committed.
type history struct {
	old, new  uint64
	before    *memory
	log       []step // of sectors
	installed int    // length of the log when Install returned
}

// recorded updates a card twice: into set b, and from there into set a.
func recorded(t *testing.T) []history {
	t.Helper()
	var all []history
	d := newCard(t, newRelease(1))
	private := key(t, 1)
	for version := uint64(2); version < 4; version++ {
		h := history{old: version - 1, new: version, before: d}
		d = d.clone()
		file := bytes.NewReader(sealed(t, newRelease(version), private))
		if _, err := open(t, d, 0).Install(file, public(private), Target{"tx", "virt"}); err != nil {
			t.Fatal(err)
		}
		h.installed = len(sectors(d.log))
		b := board{disk: d, sound: always}
		if got, err := b.start(); got != version || err != nil {
			t.Fatalf("got version %d, %v; want %d to run", got, err, version)
		}
		h.log = sectors(d.log)
		all = append(all, h)
	}
	return all
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
func (h history) cut(n int, r *rand.Rand) *memory {
	d := h.before.clone()
	flushed := 0
	for i, s := range h.log[:n] {
		if s.data == nil {
			flushed = i
		}
	}
	for _, s := range h.log[:flushed] {
		d.put(s.data, s.at)
	}
	late := append([]step{}, h.log[flushed:n]...)
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
	r := rand.New(rand.NewPCG(1, 2))
	for _, h := range recorded(t) {
		seen := map[uint64]int{}
		for n := range len(h.log) + 1 {
			for range 5 {
				b := board{disk: h.cut(n, r), sound: always}
				got, err := b.start()
				if err != nil || got != h.new && (got != h.old || n >= h.installed) {
					t.Fatalf("cut after %d of %d sectors: got version %d, %v; want %d, or %d before Install "+
						"returned, after %d", n, len(h.log), got, err, h.new, h.old, h.installed)
				}
				if again, err := b.start(); err != nil || again != got {
					t.Fatalf("cut after %d of %d sectors: got version %d, %v at the next start; want %d", n, len(h.log),
						again, err, got)
				}
				seen[got]++
			}
			if n%100 == 0 {
				fsck(t, h.cut(n, r))
			}
		}
		if seen[h.old] == 0 || seen[h.new] == 0 {
			t.Errorf("got versions %v, want both %d and %d", seen, h.old, h.new)
		}
	}
}

// fsck checks the boot partition with another project's program.
func fsck(t *testing.T, d *memory) {
	t.Helper()
	path, err := exec.LookPath("fsck.fat")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/fsck.fat"); err != nil {
			t.Log("not proved: what fsck.fat says, because it is not installed")
			return
		}
	}
	b := make([]byte, bootSize)
	if _, err := d.ReadAt(b, testBoot); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "fat")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(path, "-n", name).CombinedOutput(); err != nil {
		t.Errorf("fsck.fat: %v\n%s", err, said)
	}
}

func TestUpdateAfterAPowerCutWorks(t *testing.T) {
	private := key(t, 1)
	file := sealed(t, newRelease(4), private)
	r := rand.New(rand.NewPCG(3, 4))
	for _, h := range recorded(t) {
		for n := 0; n <= len(h.log); n += 7 {
			b := board{disk: h.cut(n, r), sound: always}
			if _, err := b.start(); err != nil {
				t.Fatal(err)
			}
			c := open(t, b.disk, 0)
			if _, err := c.Install(bytes.NewReader(file), public(private), Target{"tx", "virt"}); err != nil {
				t.Fatalf("cut after %d sectors: %v", n, err)
			}
			if got, err := b.start(); got != 4 || err != nil {
				t.Fatalf("cut after %d sectors: got version %d, %v; want 4", n, got, err)
			}
		}
	}
}

func TestUpdateWritesNeitherFATNorFolder(t *testing.T) {
	for _, h := range recorded(t) {
		c := open(t, h.before, 0)
		committed, err := c.Committed()
		if err != nil {
			t.Fatal(err)
		}
		set := committed.Other()
		allowed := []extent{c.slot(set), {recordAt[0], sectorSize}, {recordAt[1], sectorSize}}
		files, err := c.boot.files(set.folder())
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
		for _, s := range h.log {
			inside := s.data == nil
			for _, e := range allowed {
				inside = inside || s.at >= e.at && s.at+int64(len(s.data)) <= e.at+e.size
			}
			if !inside {
				t.Errorf("got a write of %d bytes at %d, which is not in a file of the inactive set", len(s.data), s.at)
			}
		}
	}
}

// TestWhatReturnsIsOnTheCard: each call that changes something ends with a flush.
func TestWhatReturnsIsOnTheCard(t *testing.T) {
	d := updated(t)
	flushed := func(what string) {
		t.Helper()
		if len(d.log) == 0 || d.log[len(d.log)-1].data != nil {
			t.Errorf("%s returns before the card has it", what)
		}
		d.log = nil
	}
	flushed("Install")
	if action, err := open(t, d, A).Boot(newRelease(1).m.Root); action != Try || err != nil {
		t.Fatalf("got action %d, %v; want a trial", action, err)
	}
	flushed("Boot")
	refused := d.clone()
	if err := open(t, d, B).Commit(); err != nil {
		t.Fatal(err)
	}
	flushed("Commit")
	d = refused
	if err := open(t, d, B).Refuse(); err != nil {
		t.Fatal(err)
	}
	flushed("Refuse")
}
