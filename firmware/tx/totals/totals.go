// Package totals keeps how many records each channel has passed to the link, so
// that a run states those of earlier runs and a receiver can account for what was
// sent while the link was interrupted.
//
// The record is kept twice in [state] directory:
//
//	totals-recent   before any Left is called, in the page cache: exact after a
//	                kill
//	totals          each second while it changes, and at the end, on the disk:
//	                at most a second old after a power cut
//
// Both are slots of package store, whose record is, for each channel,
//
//	name length(1)   name   records(uvarint)
//
// Channels that are no longer configured stay, as long as there is room: they may
// come back. The package refuses to count; package send does.
package totals

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/tx/send"
)

// Our own choices.
const (
	size  = 16 << 10 // bytes of a record, at most
	every = time.Second
)

// Book keeps the totals of a run. It implements task.Task and pipeline.Keeper,
// and is safe for concurrent use.
type Book struct {
	recent  slots
	durable slots
	earlier map[string]uint64

	mu      sync.Mutex
	record  []byte // as it was last encoded
	scratch []byte
	broken  error
}

// slots are a *store.Slots.
type slots interface {
	Read() ([]byte, error)
	Write(record []byte) error
	Sync() error
}

// Open reads the totals of earlier runs in dir. A file that is damaged, or cannot
// be read, is the warning: what it held is unknown, and the next receiver to
// remember more reports it.
func Open(dir string) (b *Book, warning, err error) {
	b = &Book{earlier: map[string]uint64{}}
	if b.recent, err = store.OpenCachedSlots(filepath.Join(dir, "totals-recent"), size); err != nil {
		return nil, nil, err
	}
	if b.durable, err = store.OpenSlots(filepath.Join(dir, "totals"), size); err != nil {
		return nil, nil, err
	}
	for _, s := range []slots{b.recent, b.durable} {
		record, err := s.Read()
		if err == nil {
			err = decode(record, b.earlier)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			warning = errors.Join(warning, err)
		}
	}
	return b, warning, nil
}

// Earlier returns how many records of a channel earlier runs had.
func (b *Book) Earlier(channel string) uint64 { return b.earlier[channel] }

// Keep keeps the present totals. Once it has returned they survive a kill.
func (b *Book) Keep(totals []send.Total) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scratch = b.scratch[:0]
	for _, t := range totals {
		b.scratch = appendTotal(b.scratch, t.Channel, t.Records)
	}
	for _, name := range slices.Sorted(maps.Keys(b.earlier)) {
		gone := !slices.ContainsFunc(totals, func(t send.Total) bool { return t.Channel == name })
		if gone && len(b.scratch)+len(name)+1+binary.MaxVarintLen64 <= size {
			b.scratch = appendTotal(b.scratch, name, b.earlier[name])
		}
	}
	b.record = append(b.record[:0], b.scratch...)
	b.broken = b.recent.Write(b.record)
}

func appendTotal(to []byte, name string, records uint64) []byte {
	to = append(to, byte(len(name)))
	to = append(to, name[:byte(len(name))]...)
	return binary.AppendUvarint(to, records)
}

// decode raises the totals in into to those of a record.
func decode(record []byte, into map[string]uint64) error {
	for len(record) > 0 {
		n := int(record[0])
		if len(record) < 1+n {
			return fmt.Errorf("totals: %w", store.ErrCorrupt)
		}
		name := string(record[1 : 1+n])
		records, used := binary.Uvarint(record[1+n:])
		if used <= 0 {
			return fmt.Errorf("totals: %w", store.ErrCorrupt)
		}
		into[name] = max(into[name], records)
		record = record[1+n+used:]
	}
	return nil
}

// String names the task.
func (b *Book) String() string { return "totals" }

// Ready returns why the totals cannot be kept, while they cannot.
func (b *Book) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broken != nil {
		return cause.State(fmt.Errorf("totals: what this run sends is not kept for the next: %w", b.broken))
	}
	return nil
}

// Run writes the totals to the disk each second until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			b.sync()
		}
	}
}

// Close writes the last totals to the disk.
func (b *Book) Close() { b.sync() }

func (b *Book) sync() {
	b.mu.Lock()
	record := slices.Clone(b.record)
	b.mu.Unlock()
	if len(record) == 0 {
		return
	}
	err := b.durable.Write(record)
	if err == nil {
		err = b.durable.Sync()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// What was kept meanwhile is newer, and its Left was called: it must stay.
	if err != nil || b.recent.Write(b.record) == nil {
		b.broken = err
	}
}
