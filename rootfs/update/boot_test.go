package update

import (
	"bytes"
	"errors"
	"testing"

	"heliograph/firmware/platform/release"
)

// updated is a card with version 1 committed and 2 pending in set b.
func updated(t *testing.T) *memory {
	t.Helper()
	d := newCard(t, newRelease(1))
	k := key(t, 1)
	if _, err := open(t, d, A).Install(bytes.NewReader(sealed(t, newRelease(2), k)), public(k),
		Target{"tx", "virt"}); err != nil {
		t.Fatal(err)
	}
	return d
}

// spoil changes a bit of a set's file, or of its root slot.
func spoil(t *testing.T, d *memory, s Set, name string) {
	t.Helper()
	c := open(t, d, 0)
	e := c.slot(s)
	if name != "root" {
		var err error
		if e, err = c.boot.find(s.folder() + name); err != nil {
			t.Fatal(err)
		}
	}
	b := make([]byte, 1)
	if _, err := d.ReadAt(b, e.at+100); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	d.put(b, e.at+100)
}

func none(r *record) { r.pending = 0 }

func TestBoot(t *testing.T) {
	one, two := newRelease(1).m.Root, newRelease(2).m.Root
	for name, c := range map[string]struct {
		running   Set
		root      release.Part
		spoiled   []string // of sets: "a root"
		record    func(*record)
		want      Action
		committed Set
		pending   uint64
		refused   uint64
		fault     bool
	}{
		"nothing pending":      {A, one, nil, none, Start, A, 0, 0, false},
		"an update is pending": {A, one, nil, nil, Try, A, 2, 0, false},
		"tried before, power cut": {A, one, nil, func(r *record) { r.tries = maxTries - 1 }, Try, A, 2,
			0, false},
		"tried too often": {A, one, nil, func(r *record) { r.tries = maxTries }, Start, A, 0, 2,
			true},
		"the update is damaged: kernel":          {A, one, []string{"b vmlinuz"}, nil, Start, A, 0, 2, true},
		"the update is damaged: root":            {A, one, []string{"b root"}, nil, Start, A, 0, 2, true},
		"the update is damaged: command line":    {A, one, []string{"b cmdline.txt"}, nil, Start, A, 0, 2, true},
		"on trial":                               {B, two, nil, nil, Start, A, 2, 0, false},
		"on trial, damaged":                      {B, two, []string{"b root"}, nil, Restart, A, 0, 2, true},
		"on trial, not in the record":            {B, two, nil, none, Restart, A, 0, 0, true},
		"committed slot damaged, other whole":    {A, one, []string{"a root"}, none, Restart, B, 0, 1, true},
		"committed slot damaged, update waits":   {A, one, []string{"a root"}, nil, Try, A, 2, 0, false},
		"both slots damaged":                     {A, one, []string{"a root", "b root"}, none, Stuck, A, 0, 0, true},
		"both damaged, an update was pending":    {A, one, []string{"a root", "b root"}, nil, Stuck, A, 0, 2, true},
		"other set's kernel damaged":             {A, one, []string{"a root", "b vmlinuz"}, none, Stuck, A, 0, 0, true},
		"a root that the initramfs is not of":    {A, two, nil, none, Restart, B, 0, 1, true},
		"config.txt names no set":                {A, one, []string{"config.txt"}, none, Start, 0, 0, 0, true},
		"the commit was cut before the record":   {B, two, []string{"commit"}, nil, Start, B, 0, 0, false},
		"a manifest in the committed set spoilt": {A, one, []string{"a manifest.json"}, none, Start, A, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := updated(t)
			for _, s := range c.spoiled {
				switch s {
				case "commit":
					if err := open(t, d, B).choose(chosenFile, B); err != nil {
						t.Fatal(err)
					}
				case "config.txt":
					card := open(t, d, 0)
					at, _, err := card.prefix(chosenFile)
					if err != nil {
						t.Fatal(err)
					}
					d.put([]byte("?"), at)
				default:
					spoil(t, d, Set(s[0]), s[2:])
				}
			}
			card := open(t, d, c.running)
			if c.record != nil {
				r := card.record
				c.record(&r)
				if err := card.save(r); err != nil {
					t.Fatal(err)
				}
			}
			boots := card.record.boots
			got, err := card.Boot(c.root)
			if got != c.want || (err != nil) != c.fault {
				t.Errorf("got action %d, %v; want %d, fault %v", got, err, c.want, c.fault)
			}
			again := open(t, d, c.running)
			if again.record.pending != c.pending || again.record.refused != c.refused {
				t.Errorf("got %d pending, %d refused; want %d, %d", again.record.pending, again.record.refused,
					c.pending, c.refused)
			}
			if committed, _ := again.Committed(); committed != c.committed {
				t.Errorf("got set %q committed, want %q", committed, c.committed)
			}
			if got == Start && c.running == c.committed && again.record.boots != boots+1 {
				t.Errorf("got %d starts counted, want %d", again.record.boots, boots+1)
			}
		})
	}
}

func TestWhatBecameOfAnUpdateThatIsGivenUp(t *testing.T) {
	first := func(version uint64) bool { return version == 1 }
	for name, c := range map[string]struct {
		board board
		spoil string // of set b
		want  string
	}{
		"it never becomes healthy": {board{sound: first}, "",
			"the firmware started it once, and it did not become healthy"},
		"the power goes in each of its trials": {board{sound: first, cut: true}, "",
			"the firmware started it 3 times, and it never became healthy"},
		"an old boot loader starts the committed set instead": {board{sound: always, old: true}, "", NeverBegan},
		"its kernel hangs before anything can be counted":     {board{sound: always, hangs: true}, "", NeverBegan},
		"it is damaged before its trial": {board{sound: always}, "vmlinuz",
			"it is damaged on the card"},
	} {
		t.Run(name, func(t *testing.T) {
			c.board.disk = updated(t)
			if c.spoil != "" {
				spoil(t, c.board.disk.(*memory), B, c.spoil)
			}
			if got, err := c.board.start(); got != 1 || err != nil {
				t.Errorf("got version %d, %v; want 1", got, err)
			}
			s, err := open(t, c.board.disk, A).State()
			want := State{Running: A, Committed: A, Version: 1, Floor: 1, Refused: 2, Fate: c.want}
			if s != want || err != nil {
				t.Errorf("got %+v, %v; want %+v", s, err, want)
			}
		})
	}
}

func TestATrialThatCannotBeCountedIsStarted(t *testing.T) {
	d := updated(t)
	card := open(t, d, B)
	card.disk = readOnly{d}
	if got, err := card.Boot(newRelease(2).m.Root); got != Start || err == nil {
		t.Errorf("got action %d, %v; want %d and an error", got, err, Start)
	}
}

// readOnly is a card that takes nothing.
type readOnly struct{ Disk }

func (readOnly) WriteAt([]byte, int64) (int, error) { return 0, errors.New("write-protected") }

func TestHealthyReleaseIsCommittedAndItsElderRefused(t *testing.T) {
	d := updated(t)
	b := board{disk: d, sound: always}
	if got, err := b.start(); got != 2 || err != nil {
		t.Fatalf("got version %d, %v; want 2", got, err)
	}
	c := open(t, d, B)
	s, err := c.State()
	if want := (State{Running: B, Committed: B, Version: 2, Floor: 2}); s != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", s, err, want)
	}
	k := key(t, 1)
	if _, err := c.Install(bytes.NewReader(sealed(t, newRelease(1), k)), public(k), Target{"tx", "virt"}); err == nil {
		t.Error("got no error for version 1 over 2")
	}
	before := writes(d)
	if err := c.Commit(); err != nil || writes(d) != before {
		t.Errorf("got %d writes, %v for a release that says again that it is healthy; want none", writes(d)-before, err)
	}
}

func TestOnlyASetOnTrialIsCommittedOrRefused(t *testing.T) {
	d := newCard(t, newRelease(1))
	if err := open(t, d, B).Commit(); err == nil {
		t.Error("got no error for a commit without a trial")
	}
	if err := open(t, d, B).Refuse(); err == nil {
		t.Error("got no error for a refusal of nothing")
	}
	if err := open(t, d, 0).Commit(); err == nil {
		t.Error("got no error for a commit by a PC")
	}
	if n := writes(d); n != 0 {
		t.Errorf("got %d writes, want none", n)
	}
}

func TestFallingBackDoesNotOpenTheWayToOlderReleases(t *testing.T) {
	d := updated(t)
	b := board{disk: d, sound: always}
	if got, err := b.start(); got != 2 || err != nil {
		t.Fatalf("got version %d, %v; want 2", got, err)
	}
	spoil(t, d, B, "root")
	if got, err := b.start(); got != 1 || err != nil {
		t.Fatalf("got version %d, %v with a damaged slot; want 1", got, err)
	}
	s, err := open(t, d, A).State()
	if s.Floor != 2 || s.Refused != 2 || s.Fate != "it is damaged on the card" || err != nil {
		t.Errorf("got %+v, %v; want floor 2, and release 2 refused because it is damaged", s, err)
	}
	k := key(t, 1)
	if _, err := open(t, d, A).Install(bytes.NewReader(sealed(t, newRelease(2), k)), public(k),
		Target{"tx", "virt"}); err != nil {
		t.Errorf("the release that was damaged, installed again: %v", err)
	}
}
