package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"

	"heliograph/boards"
	"heliograph/ci/await"
	"heliograph/rootfs/update"
	"heliograph/tools/image"
)

// TestUpdateOverTheStatusPort puts an update to a board that runs: one with
// a foreign signature is refused at once, a good one is installed, tried, and
// kept once its role has worked for half a minute. The power goes once while the board
// writes it.
func TestUpdateOverTheStatusPort(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "mcopy"} {
		need(t, name)
	}
	public, private, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	key := filepath.Join(folder, "key.pub")
	text, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, text, 0o600); err != nil {
		t.Fatal(err)
	}
	board, _ := boards.ByName("virt")
	card := buildFor(t, board, "tx", configuration, leased, key)
	status := fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))
	m := boot(t, card, wiring{status: status, link: "null", once: true})
	m.answers(t, "http://"+status+"/healthz")

	put(t, status, release(t, board, stranger, key), http.StatusUnprocessableEntity)
	m.shows(t, "an update was refused", 1)
	next, before := release(t, board, private, key), sector(t, card, update.B)
	put(t, status, next, http.StatusAccepted)
	m.until(t, "the board writes its slot", func() error {
		if bytes.Equal(sector(t, card, update.B), before) {
			return errors.New("it is as it was")
		}
		return nil
	})
	m.cut()
	m = boot(t, card, wiring{status: status, link: "null", once: true})
	m.settles(t, func(string) bool { return false }) // it restarts by itself
	if screen := m.screen.String(); !strings.Contains(screen, "update installed") {
		t.Fatalf("the update was not installed:\n%s", screen)
	}
	m, consoles := restarts(t, card, 3)
	if !strings.Contains(consoles, "an update is tried") {
		t.Errorf("the initramfs did not ask for a trial:\n%s", consoles)
	}
	m.shows(t, "update kept", 1)
	m.cut()
	if got := prefix(t, card, "config.txt"); got != "b/" {
		t.Errorf("got set %s after an update that works, want b/", got)
	}
}

// release makes release 2 of the same sources.
func release(t *testing.T, board boards.Board, signer minisign.PrivateKey, key string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tx.update")
	o := image.Options{Role: "tx", Board: board, Release: 2, Source: "../..", Version: "next", UpdateKey: key,
		Output: name}
	if err := image.BuildUpdate(o, signer); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, status string, update []byte, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+status+"/update",
		bytes.NewReader(update))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 5 * time.Minute}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != want {
		t.Fatalf("PUT /update: got %s, want %d", answer.Status, want)
	}
}
