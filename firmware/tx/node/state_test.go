package node

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/store"
	"heliograph/firmware/tx/source"
)

func TestEachRunHasItsEpochAndTheTotalsOfEarlierOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		for run := range uint64(3) {
			r := newRig(t, c)
			if got := r.state.totals.Earlier("cell-1"); got != 2*run {
				t.Errorf("run %d: got %d records of earlier runs, want %d", run, got, 2*run)
			}
			r.run(t, func() {
				for range 2 {
					if err := r.plant("cell-1").Put(source.Update{Payload: []byte("x"), Event: true}); err != nil {
						t.Error(err)
					}
				}
				settle()
			})
			if got := r.Snapshot().Link.Epoch; got != run+1 {
				t.Errorf("run %d: got epoch %d, want %d", run, got, run+1)
			}
			r.Close()
		}
	})
}

func TestDamagedStateIsAudited(t *testing.T) {
	c := testConfig(t)
	for _, name := range []string{"epoch.a", "epoch.b", "totals"} {
		if err := os.WriteFile(filepath.Join(c.TX.State, name), bytes.Repeat([]byte{0xff}, 33<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, c)
	for _, want := range []string{"role_started", "epoch_lost", "totals_damaged"} {
		if !slices.ContainsFunc(r.Snapshot().Notes, func(n status.Note) bool { return n.Event == want }) {
			t.Errorf("got %+v, want %s among them", r.Snapshot().Notes, want)
		}
	}
}

func TestTheStateHasOneUser(t *testing.T) {
	c := testConfig(t)
	r := newRig(t, c)
	c.Build = r.Node.config.Build
	if _, err := New(c); !errors.Is(err, store.ErrInUse) {
		t.Errorf("got %v, want %v", err, store.ErrInUse)
	}
}

func TestAPairKeyThatIsMissingEndsTheNode(t *testing.T) {
	c := testConfig(t)
	c.TX.Link.KeyFile = filepath.Join(t.TempDir(), "none")
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v, want the file named", err)
	}
}
