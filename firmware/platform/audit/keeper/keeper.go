// Package keeper keeps the trails of package audit on disk and hands their events on:
// to the log, to the other board, to a collector.
//
// The file audit in the state folder is one record (see package store):
//
//	{"own": …, "theirs": …}     JSON of two trails
//
// An event is handed on once it is on the disk, so that its number is never given
// twice, or at once while the disk takes nothing: then a restart gives its number again,
// which the other board notes. A keeper writes when there is
// something new, at most once a second; the count of a flood is written once a minute.
// The package refuses to wait for the receivers of events: they must not block, nor
// call the keeper.
package keeper

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/platform/audit"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/store"
)

const (
	every = time.Second // at most one write
	shown = 16          // events that the other board is shown

	heldEvery = time.Minute // what is held is written as often
)

// Keeper is the trail of this board and, on RX, of the other one. It is a task. Safe for
// concurrent use.
type Keeper struct {
	path  string
	log   *slog.Logger
	takes []func(audit.Message)

	writing sync.Mutex // one save at a time

	mu          sync.Mutex
	own, theirs *audit.Trail
	dirty       bool // something is not on the disk
	moved       bool // what was handed on is not
	unsent      []audit.Event
	broken      error // the last write
	stats       Stats
	saved       time.Time
	unread      string // why the last one could not be read
}

// Stats are the counters of a keeper.
type Stats struct {
	Noted      uint64 `count:"noted_events" help:"Security events of this board, with those that one entry stands for."`
	Missing    uint64 `count:"missing_events" help:"Entries of the other board's trail that did not arrive."`
	Unreadable uint64 `count:"unreadable_events" help:"Events of the other board, damaged or of another version."`
	Unkept     uint64 `count:"failed_writes" help:"Writes of the trail that the disk refused."`
}

// Open returns the keeper of a board, "tx" or "rx", with the trail of earlier runs. A
// file that is damaged is itself an event.
func Open(state, board string, log *slog.Logger) *Keeper {
	k := &Keeper{path: filepath.Join(state, "audit"), log: log, own: audit.New(board, identifier()),
		theirs: audit.New("tx", "")}
	b, err := store.Read(k.path)
	if err == nil {
		var kept struct {
			Own    json.RawMessage `json:"own"`
			Theirs json.RawMessage `json:"theirs"`
		}
		if err = json.Unmarshal(b, &kept); err == nil {
			err = errors.Join(k.own.Restore(kept.Own), k.theirs.Restore(kept.Theirs))
		}
	}
	k.unsent = append(k.theirs.Fresh(), k.own.Fresh()...) // as far as the run before did not get
	k.dirty = len(k.unsent) > 0
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.Add("audit_damaged", fmt.Sprintf("earlier events are lost: %v", err))
	}
	return k
}

// HandOn has take called with each new event, in the order of their numbers. Call it
// before Run.
func (k *Keeper) HandOn(take func(audit.Message)) { k.takes = append(k.takes, take) }

func identifier() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Add notes an event. kind is a fixed word, text says it in words.
func (k *Keeper) Add(kind, text string) { k.AddCount(kind, text, 1) }

// AddCount notes n events that are alike.
func (k *Keeper) AddCount(kind, text string, n uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stats.Noted += n
	k.own.Add(time.Now(), kind, text, n)
	k.collect()
}

// AddOnce notes an event unless one of the same kind and text is kept.
func (k *Keeper) AddOnce(kind, text string) {
	for _, e := range k.Events() {
		if e.Event == kind && e.Text == text {
			return
		}
	}
	k.Add(kind, text)
}

// Newest returns the newest events of this board that are on the disk, at most 16,
// oldest first: what the other board is shown.
func (k *Keeper) Newest() []audit.Message {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.own.Newest(shown)
}

// AddRemote keeps what the other board shows of its trail, in any order. whole says that all
// it shows is here: then an event that is missing before another did not arrive, else it
// may yet.
func (k *Keeper) AddRemote(messages [][]byte, whole bool) {
	var list []audit.Message
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range messages {
		m, err := audit.Decode(b)
		if err != nil {
			k.refuse(err)
			continue
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b audit.Message) int { return cmp.Compare(a.Entry.Number, b.Entry.Number) })
	for _, m := range list {
		if !k.theirs.Has(m) && !k.theirs.Expects(m) && !whole {
			return
		}
		again := k.theirs.Reuses(m)
		missing, taken := k.theirs.AddRemote(m)
		if again {
			k.own.Add(time.Now(), "audit_gap", fmt.Sprintf("the transmitter gave number %d again: its disk had not "+
				"kept what its trail had from there on", m.Entry.Number), 1)
		}
		if missing > 0 {
			k.stats.Missing += missing
			k.own.Add(time.Now(), "audit_gap", fmt.Sprintf("%d events of the transmitter's trail before its number "+
				"%d did not arrive", missing, m.Entry.Number), 1)
		}
		if taken {
			k.collect()
		}
	}
}

// refuse counts what cannot be read, once as long as it stays the same.
func (k *Keeper) refuse(err error) {
	if k.unread != err.Error() {
		k.unread = err.Error()
		k.stats.Unreadable++
	}
}

// collect logs what has become an event, and queues it for the disk.
func (k *Keeper) collect() {
	for _, e := range append(k.theirs.Fresh(), k.own.Fresh()...) {
		level := slog.LevelInfo
		if e.Result == audit.Failure {
			level = slog.LevelWarn
		}
		k.log.Log(context.Background(), level, e.Text, "audit", e.Event, "source", e.Source, "number", e.Number,
			"count", e.Count)
		k.unsent = append(k.unsent, e)
		k.dirty = true
	}
}

// Events returns the events of both boards, newest last.
func (k *Keeper) Events() []audit.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := append(k.own.Events(), k.theirs.Events()...)
	audit.Sort(list)
	return list
}

// String names the task.
func (k *Keeper) String() string { return "audit trail" }

// Ready says whether events are kept over a restart.
func (k *Keeper) Ready() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.broken
}

// Counters implements counter.Source.
func (k *Keeper) Counters() []counter.Set {
	k.mu.Lock()
	defer k.mu.Unlock()
	return []counter.Set{counter.Of("audit_trail", "", &k.stats)}
}

// Run keeps and hands on until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		k.step()
		select {
		case <-ctx.Done():
			return nil // what is left Close keeps
		case <-tick.C:
		}
	}
}

// Close keeps what is left, and what is held back too. The next run hands it on.
func (k *Keeper) Close() {
	k.mu.Lock()
	k.own.Flush()
	k.collect()
	k.dirty = k.dirty || k.moved
	k.mu.Unlock()
	k.save()
}

// step keeps what is new, and then hands it on.
func (k *Keeper) step() {
	k.mu.Lock()
	now := time.Now()
	k.own.Tick(now)
	k.collect()
	if k.own.Holds() && now.Sub(k.saved) >= heldEvery {
		k.dirty = true
	}
	events := k.unsent
	k.unsent = nil
	k.mu.Unlock()
	k.save()
	for _, e := range events {
		k.mu.Lock()
		m := audit.Message{Trail: k.trail(e).ID(), Entry: e}
		k.trail(e).HandedOn(e.Number)
		k.moved = true
		k.mu.Unlock()
		for _, take := range k.takes {
			take(m)
		}
	}
}

// trail returns the one that an event belongs to.
func (k *Keeper) trail(e audit.Event) *audit.Trail {
	if k.theirs.Source() == e.Source && k.own.Source() != e.Source {
		return k.theirs
	}
	return k.own
}

// save writes both trails when something is new. A disk that fails is tried again each
// second. Add does not wait for a slow disk.
func (k *Keeper) save() {
	k.writing.Lock()
	defer k.writing.Unlock()
	k.mu.Lock()
	if !k.dirty {
		k.mu.Unlock()
		return
	}
	b, err := json.Marshal(map[string]*audit.Trail{"own": k.own, "theirs": k.theirs})
	k.dirty, k.moved, k.saved = false, false, time.Now()
	k.mu.Unlock()
	if err == nil {
		err = store.Write(k.path, b)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.broken = nil
	if err != nil {
		k.stats.Unkept++
		k.dirty, k.broken = true, cause.State(fmt.Errorf("events are not kept over a restart: %w", err))
	}
}
