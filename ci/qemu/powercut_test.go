package qemu

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/rootfs/update"
)

// journal notes what is written to a card.
type journal struct {
	update.Device
	log []writing
}

type writing struct {
	at   int64
	data []byte
}

func (j *journal) WriteAt(p []byte, at int64) (int, error) {
	j.log = append(j.log, writing{at, bytes.Clone(p)})
	return j.Device.WriteAt(p, at)
}

// TestAPowerCutDuringAnUpdateLeavesABootableCard boots what is left of a card when the power
// goes at a few places of an update. Package update tries all of them, and writes that
// were reordered, on a model of the board; this shows that the model is right.
func TestAPowerCutDuringAnUpdateLeavesABootableCard(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "mcopy", "cp"} {
		need(t, name)
	}
	card := build(t, "tx", configuration)
	d, err := update.OpenDevice(duplicate(t, card), true)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{Device: d}
	installOn(t, j)
	d.Close()

	inSlot, last := 0, len(j.log)-1
	for inSlot < last && !(j.log[inSlot].at <= middle(update.B) &&
		middle(update.B) < j.log[inSlot].at+int64(len(j.log[inSlot].data))) {
		inSlot++
	}
	for _, c := range []struct {
		name  string
		at    int // the write that is half done
		tried bool
	}{
		{"in the root slot", inSlot, false},
		{"before the write that asks for a trial", last, false},
		{"after it", last + 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			left := duplicate(t, card)
			j.replay(t, left, c.at)
			m, consoles := restarts(t, left, 3)
			m.cut()
			if got := strings.Contains(consoles, "an update is tried"); got != c.tried {
				t.Errorf("write %d of %d: a trial of the new release: got %v, want %v; the console:\n%s", c.at,
					len(j.log), got, c.tried, consoles)
			}
			if got := prefix(t, left, "config.txt"); got != "a/" {
				t.Errorf("got set %s before the new release was kept, want a/", got)
			}
		})
	}
}

// replay does the writes before one, and the first half of that.
func (j *journal) replay(t *testing.T, card string, cut int) {
	t.Helper()
	f, err := os.OpenFile(card, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, w := range j.log[:min(cut+1, len(j.log))] {
		if i == cut {
			w.data = w.data[:len(w.data)/2]
		}
		if _, err := f.WriteAt(w.data, w.at); err != nil {
			t.Fatal(err)
		}
	}
}

func duplicate(t *testing.T, card string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "card.img")
	if said, err := exec.Command("cp", "--sparse=always", card, to).CombinedOutput(); err != nil {
		t.Fatalf("copying the card: %v\n%s", err, said)
	}
	return to
}
