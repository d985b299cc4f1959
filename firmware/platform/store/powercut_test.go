package store

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

var errPowerCut = errors.New("power cut")

// platter is a disk whose power fails after a given number of steps; each byte
// written is a step, as is each call. What was not synced by then may or may
// not be on it.
type platter struct {
	left    int // steps until the power fails
	files   []*inode
	names   map[string]*inode         // as the running system sees them
	durable map[string]*inode         // as of the last sync of the folder
	pending []func(map[string]*inode) // changes of names since then, in order
}

type inode struct {
	content []byte
	synced  []byte
}

func (p *platter) step() bool {
	p.left--
	return p.left >= 0
}

func (p *platter) change(f func(map[string]*inode)) {
	f(p.names)
	p.pending = append(p.pending, f)
}

func (p *platter) create(path string, _ fs.FileMode) (file, error) {
	if !p.step() {
		return nil, errPowerCut
	}
	node := p.names[path]
	if node == nil {
		node = &inode{}
		p.files = append(p.files, node)
		p.change(func(names map[string]*inode) { names[path] = node })
	}
	node.content = nil
	return &handle{p, node}, nil
}

func (p *platter) openSlots(path string) (slotFile, error) {
	if !p.step() {
		return nil, errPowerCut
	}
	if p.names[path] == nil {
		return nil, fs.ErrNotExist
	}
	return &handle{p, p.names[path]}, nil
}

func (p *platter) read(path string, _ int) ([]byte, error) {
	if p.names[path] == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(p.names[path].content), nil
}

func (p *platter) rename(from, to string) error {
	if !p.step() {
		return errPowerCut
	}
	p.change(func(names map[string]*inode) {
		if node := names[from]; node != nil {
			names[to] = node
			delete(names, from)
		}
	})
	return nil
}

func (p *platter) remove(path string) error {
	if !p.step() {
		return errPowerCut
	}
	p.change(func(names map[string]*inode) { delete(names, path) })
	return nil
}

func (p *platter) syncFolder(string) error {
	if !p.step() {
		return errPowerCut
	}
	p.durable, p.pending = maps.Clone(p.names), nil
	return nil
}

type handle struct {
	p    *platter
	node *inode
}

func (h *handle) Write(b []byte) (int, error) {
	for i, c := range b {
		if !h.p.step() {
			return i, errPowerCut
		}
		h.node.content = append(h.node.content, c)
	}
	return len(b), nil
}

// WriteAt takes a step for each eighth of a sector, each of which the power's end may tear off.
func (h *handle) WriteAt(b []byte, at int64) (int, error) {
	for n := 0; n < len(b); n += sector / 8 {
		if !h.p.step() {
			return n, errPowerCut
		}
		copy(h.node.content[int(at)+n:], b[n:min(n+sector/8, len(b))])
	}
	return len(b), nil
}

func (h *handle) Sync() error {
	if !h.p.step() {
		return errPowerCut
	}
	h.node.synced = bytes.Clone(h.node.content)
	return nil
}

func (h *handle) Close() error { return nil }

// afterCut returns every content that path may have when the power is back; nil
// for none. Names are changed in order (a journal) up to any point; a file that
// was not synced has any prefix of its bytes, the rest missing or zero.
func (p *platter) afterCut(path string) [][]byte {
	var all [][]byte
	for n := range len(p.pending) + 1 {
		names := maps.Clone(p.durable)
		for _, f := range p.pending[:n] {
			f(names)
		}
		node := names[path]
		switch {
		case node == nil:
			all = append(all, nil)
		case bytes.Equal(node.content, node.synced):
			all = append(all, node.synced)
		default:
			for cut := range len(node.content) + 1 {
				torn := slices.Concat(node.content[:cut], make([]byte, len(node.content)-cut))
				all = append(all, torn[:cut:cut], torn, node.synced)
			}
		}
	}
	return all
}

func TestPowerCutAtEveryStepLeavesTheOldOrTheNewRecord(t *testing.T) {
	path := filepath.Join("state", "epoch")
	for _, first := range []bool{true, false} {
		for steps := 0; ; steps++ {
			p := &platter{left: 1 << 30, names: map[string]*inode{}, durable: map[string]*inode{}}
			var old []byte
			if !first {
				old = []byte("the old record")
				if err := write(p, path, old); err != nil {
					t.Fatal(err)
				}
			}
			p.left = steps
			err := write(p, path, []byte("the new one"))
			checkAfterCut(t, p, path, old, err == nil, steps)
			if err == nil {
				break
			}
		}
	}
}

func TestPowerCutLeavesTheOldFileOrTheNewOne(t *testing.T) {
	old, changed := []byte("ann:hash\n"), []byte("ann:another\nben:hash\n")
	for steps := 0; ; steps++ {
		p := newPlatter()
		if err := replace(p, "users", ".users.tmp", 0o600, old); err != nil {
			t.Fatal(err)
		}
		p.left = steps
		err := replace(p, "users", ".users.tmp", 0o600, changed)
		for _, content := range p.afterCut("users") {
			if !bytes.Equal(content, changed) && (err == nil || !bytes.Equal(content, old)) {
				t.Errorf("cut at step %d (replaced: %v): got %q", steps, err == nil, content)
			}
		}
		if err == nil {
			return
		}
	}
}

func checkAfterCut(t *testing.T, p *platter, path string, old []byte, done bool, steps int) {
	t.Helper()
	for _, content := range p.afterCut(path) {
		if content == nil {
			if old != nil || done {
				t.Errorf("cut at step %d: no file, want a record", steps)
			}
			continue
		}
		got, err := decode(content)
		isNew := string(got) == "the new one"
		isOld := old != nil && bytes.Equal(got, old)
		if err != nil || !isNew && (done || !isOld) {
			t.Errorf("cut at step %d (written: %v): got %q, %v", steps, done, got, err)
		}
	}
}

// TestPowerCutTwice cuts a write, restarts, and cuts the next one: what the
// first left in the temporary file must not matter.
func TestPowerCutTwiceLeavesAWholeRecord(t *testing.T) {
	path := filepath.Join("state", "epoch")
	for first := range 32 {
		for second := range 40 {
			p := &platter{left: 1 << 30, names: map[string]*inode{}, durable: map[string]*inode{}}
			if err := write(p, path, []byte("old")); err != nil {
				t.Fatal(err)
			}
			p.left = first
			_ = write(p, path, []byte("lost in the first"))
			p.left = second
			_ = write(p, path, []byte("second"))
			for _, content := range p.afterCut(path) {
				got, err := decode(content)
				if err != nil {
					t.Fatalf("cuts at %d and %d: got %q, %v", first, second, got, err)
				}
			}
		}
	}
}
