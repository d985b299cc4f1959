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
