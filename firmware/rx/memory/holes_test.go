package memory

import (
	"os"
	"path/filepath"
	"testing"

	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
)

func TestHolesBesideTheAccountAreOfTheSameEnd(t *testing.T) {
	account := func(exact bool) pipeline.Account {
		return pipeline.Account{Epoch: 5, Exact: exact, Channels: map[string]mirror.Account{
			"a": {Next: 7, Holes: []byte("short")}, "b": {Next: 8, Holes: []byte("b")},
		}}
	}
	for name, c := range map[string]struct {
		do   func(f *fixture)
		want string
	}{
		"the same end": {func(f *fixture) { f.Keep(5, 100, account(true)) }, "exact"},
		"a run later, killed": {func(f *fixture) {
			f.Keep(5, 100, account(true))
			f.Keep(5, 120, account(false))
		}, "short"},
		"a run later, ended": {func(f *fixture) { f.Keep(5, 120, account(true)) }, "short"},
		"damaged": {func(f *fixture) {
			f.Keep(5, 100, account(true))
			_ = os.WriteFile(filepath.Join(f.dir, "holes-k1"), []byte("x"), 0o600)
		}, "short"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := open(t, dir, "k1")
			f.admit(t, 5, 1, 0, nil)
			f.KeepHoles(5, 100, map[string][]byte{"a": []byte("exact"), "gone": nil})
			c.do(f)
			got := open(t, dir, "k1").Account()
			if string(got.Channels["a"].Holes) != c.want || string(got.Channels["b"].Holes) != "b" {
				t.Errorf("got %q and %q, want %s and b", got.Channels["a"].Holes, got.Channels["b"].Holes, c.want)
			}
		})
	}
}
