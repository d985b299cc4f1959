package console

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// output is what a terminal shows. Safe for concurrent use.
type output struct {
	mu sync.Mutex
	b  strings.Builder
}

func (o *output) Write(p []byte) (int, error) { o.mu.Lock(); defer o.mu.Unlock(); return o.b.Write(p) }
func (o *output) String() string              { o.mu.Lock(); defer o.mu.Unlock(); return o.b.String() }

func TestKeysOfThePortAct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port, keys := io.Pipe()
		f, out, ended := &fake{status: rx()}, &output{}, make(chan struct{})
		go func() { defer close(ended); New(f, out).Serve(t.Context(), port) }()
		if _, err := io.WriteString(keys, "ryes\r"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if want := []string{"restart"}; !slices.Equal(f.done, want) {
			t.Errorf("got %q done, want %q", f.done, want)
		}
		time.Sleep(2*time.Minute + time.Second)
		if got := strings.Count(out.String(), "RX press-hall"); got != 2 {
			t.Errorf("got the idle line %d times in two minutes: %q", got, out.String())
		}
		keys.Close()
		<-ended
	})
}

func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		port, keys := io.Pipe()
		New(&fake{status: rx()}, &output{}).Serve(ctx, port)
		if _, err := io.WriteString(keys, "s"); err == nil {
			t.Error("the port is still read")
		}
	})
}

// A probe that takes long is ended by ESC or Ctrl-C, not by other keys and not by the minute;
// the console goes on.
func TestAProbeIsEnded(t *testing.T) {
	for name, key := range map[string]string{"ESC": "\x1b", "Ctrl-C": "\x03"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				port, keys := io.Pipe()
				f, out, ended := &fake{status: rx(), hangs: true}, &output{}, make(chan struct{})
				go func() { defer close(ended); New(f, out).Serve(t.Context(), port) }()
				write := func(s string) {
					if _, err := io.WriteString(keys, s); err != nil {
						t.Fatal(err)
					}
					time.Sleep(escapeWait)
					synctest.Wait()
				}
				write("vyes\r")
				write("ryes\r")
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				if got := out.String(); len(f.done) > 0 || !strings.Contains(got, "ARP request: 100 sent") ||
					strings.Contains(got, "cancelled") {
					t.Errorf("got %q done, said %q; want a probe that goes on", f.done, got)
				}
				write(key)
				write("ryes\r")
				if want := []string{"probe", "restart"}; !slices.Equal(f.done, want) ||
					!strings.Contains(out.String(), "interrupted") {
					t.Errorf("got %q done, said %q; want %q", f.done, out.String(), want)
				}
				keys.Close()
				<-ended
			})
		})
	}
}

func TestAProbeEndsWithThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		port, keys := io.Pipe()
		f, ended := &fake{status: rx(), hangs: true}, make(chan struct{})
		go func() { defer close(ended); New(f, &output{}).Serve(t.Context(), port) }()
		if _, err := io.WriteString(keys, "vyes\r"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		keys.Close()
		<-ended
		synctest.Wait()
		if want := []string{"probe"}; !slices.Equal(f.done, want) {
			t.Errorf("got %q done, want %q", f.done, want)
		}
	})
}
