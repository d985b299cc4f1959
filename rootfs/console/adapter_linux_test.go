package console

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
)

// An adapter is plugged in, pulled out, and another one is plugged in: keys arrive
// from each, and what is written goes to the one that is there.
func TestAdapterComesAndGoes(t *testing.T) {
	device := filepath.Join(t.TempDir(), "ttyUSB0")
	a := NewAdapter(115200, device+"-none", device)
	a.interval = time.Millisecond
	keys := make(chan byte, 8)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.Run(ctx, func(ctx context.Context, port io.ReadCloser) {
			defer context.AfterFunc(ctx, func() { _ = port.Close() })()
			b := make([]byte, 1)
			for {
				n, err := port.Read(b)
				if n == 1 {
					keys <- b[0]
				}
				if err != nil {
					return
				}
			}
		})
	}()
	if n, err := a.Write([]byte("there is none")); n != 13 || err != nil {
		t.Errorf("without an adapter: got %d, %v; want all of it taken", n, err)
	}
	for _, key := range []byte("ab") {
		master, path := drivertest.OpenPTY(t)
		if err := os.Symlink(path, device); err != nil {
			t.Fatal(err)
		}
		if _, err := master.Write([]byte{key}); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-keys:
			if got != key {
				t.Errorf("got key %q, want %q", got, key)
			}
		case <-time.After(await.Bound):
			t.Fatalf("key %q did not arrive", key)
		}
		if _, err := io.WriteString(a, "state=GOOD\n"); err != nil {
			t.Fatal(err)
		}
		if said := until(master, "state=GOOD\r\n"); said == "" {
			t.Error("what was written did not come out of the adapter")
		}
		if err := os.Remove(device); err != nil {
			t.Fatal(err)
		}
		if err := master.Close(); err != nil { // pulled out
			t.Fatal(err)
		}
	}
	stop()
	select {
	case <-ended:
	case <-time.After(await.Bound):
		t.Error("Run goes on after its context ended")
	}
}

// until reads up to a text, and returns "" when it does not come. What comes before it
// is the echo of a key that was typed before the port was open.
func until(r io.Reader, text string) string {
	var said strings.Builder
	for b := make([]byte, 1); !strings.HasSuffix(said.String(), text); {
		n, err := r.Read(b)
		if err != nil {
			return ""
		}
		said.Write(b[:n])
	}
	return said.String()
}
