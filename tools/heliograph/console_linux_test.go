package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/role"
	board "heliograph/rootfs/console"
)

// line is a serial line on which a board answers each enquiry.
func line(t *testing.T, answer []byte) string {
	t.Helper()
	master, path := drivertest.OpenPTY(t)
	port, err := board.Open(path, 115200) // raw, so that nothing is echoed
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close() })
	go func() {
		for key := make([]byte, 1); ; {
			if _, err := io.ReadFull(master, key); err != nil {
				return
			}
			if key[0] == board.Enquiry {
				board.Frame(master, "status", answer)
			}
		}
	}()
	return path
}

func TestConsole(t *testing.T) {
	good, err := json.Marshal(board.Status{Role: "tx", Host: "a\u009b2Jb", State: health.Good})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, flag string
		answer     []byte
		code       int
		shows      string
	}{
		{"screen", "--once", good, role.OK, "HELIOGRAPH TX  a?2Jb"},
		{"no terminal", "", good, role.OK, "STATE GOOD"},
		{"JSON", "--json", good, role.OK, `"host":"a\u009b2Jb"`},
		{"no JSON", "--json", []byte("\x1b[2J"), role.Failure, "invalid character"},
		{"no status", "--once", []byte("[]"), role.Failure, "same version?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"console", line(t, tt.answer)}
			if tt.flag != "" {
				args = append(args, tt.flag)
			}
			var out bytes.Buffer
			if code := run(t.Context(), args, strings.NewReader(""), &out, &out); code != tt.code ||
				!strings.Contains(out.String(), tt.shows) {
				t.Errorf("got code %d, %q; want %d and %q", code, out.String(), tt.code, tt.shows)
			}
			if i := strings.IndexFunc(out.String(),
				func(r rune) bool { return r < ' ' && r != '\n' || r > '~' }); i >= 0 {
				t.Errorf("got %q, want nothing that a terminal acts on", out.String())
			}
		})
	}
}
