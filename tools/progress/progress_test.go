package progress

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shared is a buffer for several goroutines.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

// taken returns what was written since the last call.
func (s *shared) taken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.b.Reset()
	return s.b.String()
}

// started starts a line on a terminal that is 30 columns wide.
func started(out io.Writer, what string) *Line { return start(out, what, func() int { return 30 }) }

// pass has time pass, and what is done in it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheLineIsShownAfterAMomentAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		l := started(&out, "making the image")
		pass(After - time.Millisecond)
		if got := out.taken(); got != "" {
			t.Errorf("got %q before anything took long", got)
		}
		pass(time.Millisecond)
		if got, want := out.taken(), "\r\x1b[Kmaking the image … 1s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		l.Set("making the %s\x1b[2J of the whole card", "copy")
		pass(every)
		if got, want := out.taken(), "\r\x1b[Kmaking the copy?[2J of the wh"; got != want {
			t.Errorf("got %q, want %q: cut before the last column, nothing that a terminal acts on", got, want)
		}
		l.SetTimed("%d s left", 9)
		pass(every)
		if got, want := out.taken(), "\r\x1b[K9 s left"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		l.End()
		l.End()
		l.Set("more")
		pass(time.Minute)
		if got, want := out.taken(), "\r\x1b[K"; got != want {
			t.Errorf("got %q, want the line erased", got)
		}
	})
}

func TestWhatIsOverSoonIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		l := started(&out, "reading")
		pass(After / 2)
		l.End()
		pass(time.Minute)
		if got := out.taken(); got != "" {
			t.Errorf("got %q, want nothing", got)
		}
	})
}

func TestOtherTextDoesNotEndUpInTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		l := started(&out, "reading")
		defer l.End()
		w := l.Writer(&out)
		pass(After)
		out.taken()
		_, _ = io.WriteString(w, "a note")
		pass(every)
		_, _ = io.WriteString(w, " goes on\n")
		pass(every)
		if got, want := out.taken(), "\r\x1b[Ka note goes on\n\r\x1b[Kreading … 1s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAReaderSaysHowMuchWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out shared
		l := started(&out, "decoding")
		defer l.End()
		r := l.Reader(strings.NewReader(strings.Repeat("x", 300)), 400)
		if n, err := io.Copy(io.Discard, r); n != 300 || err != nil {
			t.Fatal(n, err)
		}
		pass(After)
		if got, want := out.taken(), "\r\x1b[Kdecoding: 75 % … 1s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		l.Share("decoding", 9, 0) // of a size that is not known
	})
}

func TestNothingIsShownWhereThereIsNoTerminal(t *testing.T) {
	var out bytes.Buffer
	l := Start(&out, "reading")
	if l != nil {
		t.Fatal("got a line, want none")
	}
	end, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()
	defer pipe.Close()
	if Start(pipe, "reading") != nil {
		t.Error("got a line on a pipe")
	}
	l.Set("%d", 1)
	l.SetTimed("%d", 2)
	l.Share("reading", 1, 2)
	if w := l.Writer(&out); w != &out {
		t.Error("got another writer, want the same")
	}
	r := strings.NewReader("")
	if l.Reader(r, 1) != r {
		t.Error("got another reader, want the same")
	}
	l.End()
}
