package history

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var day0 = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// rig is a store under a clock that a test moves.
type rig struct {
	*Store
	t   *testing.T
	now time.Time
	ran time.Duration
}

// newRig opens the store in dir at day0.
func newRig(t *testing.T, dir string, l Limits) *rig {
	t.Helper()
	r := &rig{t: t, now: day0}
	s, err := open(dir, l, slog.New(slog.DiscardHandler), func() time.Time { return r.now })
	if err != nil {
		t.Fatal(err)
	}
	r.Store = s
	s.ran = func() time.Duration { return r.ran }
	t.Cleanup(s.Close)
	return r
}

var generous = Limits{Age: 30 * 24 * time.Hour, Bytes: 1 << 30}

// second is a time of the first day.
func second(n int) time.Time { return day0.Add(time.Duration(n) * time.Second) }

// add adds values of a node that say their second.
func (r *rig) add(node string, seconds ...int) {
	for _, n := range seconds {
		r.AddValue([]byte(node), second(n), fmt.Appendf(nil, "v%d", n))
	}
}

// pass lets time pass, with a step each second of the first ten.
func (r *rig) pass(d time.Duration) {
	for range min(10, d/time.Second) {
		d -= time.Second
		r.wait(time.Second)
		r.step(r.now)
	}
	r.wait(d)
	r.step(r.now)
}

// wait lets time pass without a step.
func (r *rig) wait(d time.Duration) { r.now, r.ran = r.now.Add(d), r.ran+d }

// seal makes a segment of what is in memory.
func (r *rig) seal() {
	r.work.mu.Lock()
	defer r.work.mu.Unlock()
	r.work.commit()
	r.work.seal(r.now)
}

// values returns what a node has from one second to the other, as "second:value".
func (r *rig) values(node string, from, to int) (got []string) {
	r.t.Helper()
	if err := r.Values([]byte(node), second(from), second(to), func(at time.Time, v []byte) bool {
		got = append(got, fmt.Sprintf("%d:%s", at.Sub(day0)/time.Second, v))
		return true
	}); err != nil {
		r.t.Fatal(err)
	}
	return got
}

// expect checks that a node has the values of these seconds, and no other.
func (r *rig) expect(what, node string, seconds ...int) {
	r.t.Helper()
	var want []string
	for _, n := range seconds {
		want = append(want, fmt.Sprintf("%d:v%d", n, n))
	}
	r.equal(what, r.values(node, -1<<20, 1<<20), want)
	slices.Reverse(want)
	r.equal(what+", newest first", r.values(node, 1<<20, -1<<20), want)
}

func (r *rig) equal(what string, got, want []string) {
	r.t.Helper()
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// copyDir copies the folder of a store that is in use, as a kill leaves it.
func copyDir(t *testing.T, from string) (to string) {
	t.Helper()
	to = filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	return to
}

// files returns the names in a folder that match.
func files(t *testing.T, dir, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// damage changes a file.
func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
}
