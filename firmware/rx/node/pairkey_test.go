package node

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config/pairkey"
)

// ring is a keyring whose session a test sets.
type ring struct {
	keys    []wire.PairKey
	session *wire.PairKey
}

func (r *ring) SetKeys(keys ...wire.PairKey) { r.keys = keys }

func (r *ring) Key() (key wire.PairKey, ok bool) {
	if r.session == nil {
		return key, false
	}
	return *r.session, true
}

func TestAChangeOfThePairKeyIsFollowedAndAudited(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	first, second := wire.PairKey(pairkey.New()), wire.PairKey(pairkey.New())
	file := filepath.Join(dir, "pair.key")
	if err := pairkey.Create(file, first); err != nil {
		t.Fatal(err)
	}
	source, err := pairkey.Open(file, dir)
	if err != nil {
		t.Fatal(err)
	}
	link := &ring{}
	var audited []string
	k := pairKeys{source: source, link: link, audit: func(kind, text string) {
		audited = append(audited, kind+": "+text)
	}}
	check := func(when string, keys []wire.PairKey, audits ...string) {
		t.Helper()
		k.update(now)
		k.update(now) // nothing is new
		if !slices.Equal(link.keys, keys) {
			t.Errorf("%s: got %d keys accepted, want %d", when, len(link.keys), len(keys))
		}
		if !slices.Equal(audited, audits) {
			t.Errorf("%s: audited %q, want %q", when, audited, audits)
		}
		audited = nil
	}
	id, next := pairkey.ID(first), pairkey.ID(second)

	check("at the start", []wire.PairKey{first})
	link.session = &first
	check("with a session", []wire.PairKey{first})
	if _, err := pairkey.Change(file, dir, second, now, time.Hour); err != nil {
		t.Fatal(err)
	}
	check("while both are accepted", []wire.PairKey{second, first},
		"pair_key_added: pair key "+next+" is accepted, and until 2026-01-02T04:00:00Z key "+id+" too")
	link.session = &second
	check("once the transmitter has the new one", []wire.PairKey{second, first},
		"pair_key_changed: the transmitter uses pair key "+next+", not "+id+" as before")
	if err := os.WriteFile(file, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour)
	check("with a key file that cannot be read", []wire.PairKey{second, first})
	if err := os.WriteFile(file, pairkey.Format(first), 0o600); err != nil {
		t.Fatal(err)
	}
	check("after the change", []wire.PairKey{second}, "pair_key_ended: pair key "+next+" is accepted, and no other "+
		"any more")
}

func TestARunThatStartsDuringAChangeAuditsIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.open()
		n.Close()
		if _, err := pairkey.Change(r.cfg.RX.Link.KeyFile, r.cfg.RX.State, pairkey.New(), time.Now(),
			time.Hour); err != nil {
			t.Fatal(err)
		}
		r.run()
		defer r.end()
		r.audited("rx pair_key_added")
		r.transmit(7) // with the old key
		r.everything()
		r.pass(1)
		r.ready()
	})
}

func TestADamagedChangeOfThePairKeyIsAudited(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.open().Close()
		if _, err := pairkey.Change(r.cfg.RX.Link.KeyFile, r.cfg.RX.State, pairkey.New(), time.Now(),
			time.Hour); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(r.cfg.RX.State, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.Contains(filepath.Base(file), "pair") {
				if err := os.WriteFile(file, []byte("torn"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		r.open()
		defer r.node.Close()
		r.audited("rx pair_key_damaged")
	})
}
