package progress

import (
	"testing"

	"github.com/creack/pty"
)

func TestATerminalThatMovesNoCursorGetsNothing(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	defer tty.Close()
	for name, want := range map[string]bool{"xterm": true, "dumb": false} {
		t.Setenv("TERM", name)
		l := Start(tty, "reading")
		if (l != nil) != want {
			t.Errorf("TERM=%s: got a line: %v, want %v", name, l != nil, want)
		}
		l.End()
	}
}
