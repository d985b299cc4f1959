package boarddemo

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
)

// wired returns a line with both of its ends.
func wired(t *testing.T) (l *Line, tx, rx net.Conn) {
	t.Helper()
	l, err := openLine()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	if tx, err = net.Dial("tcp", l.tx.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Close() })
	own, line := net.UDPAddrFromAddrPort(l.far), l.rx.LocalAddr().(*net.UDPAddr)
	if rx, err = net.DialUDP("udp", own, line); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rx.Close() })
	for _, end := range []net.Conn{tx, rx} {
		_ = end.SetDeadline(time.Now().Add(await.Bound))
	}
	return l, tx, rx
}

// puts writes bytes at an end, and reads what arrives at the other one.
func puts(t *testing.T, from net.Conn, text string, to net.Conn, want string) {
	t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestALineLeadsOneWay(t *testing.T) {
	l, tx, rx := wired(t)
	puts(t, rx, "back", tx, "")
	await.True(t, "what RX put on the line is counted", func() bool { return l.Back.Load() == 4 })
	puts(t, tx, "one", rx, "one")

	l.ToggleCut()
	puts(t, tx, "two", rx, "")
	await.True(t, "what TX put on the line is counted", func() bool { return l.Sent.Load() == 6 })
	l.ToggleWayBack()
	puts(t, rx, "BACK", tx, "BACK") // and nothing of what RX had put there before
	if words := l.faults(); words != "; CUT; A WAY BACK is wired" {
		t.Errorf("it says %q", words)
	}
	l.ToggleCut()
	l.ToggleWayBack()
	puts(t, tx, "three", rx, "three")
	if words := l.faults(); words != "" {
		t.Errorf("it says %q", words)
	}
}

func TestALineThatNoOneReadsDoesNotHoldItsSenderUp(t *testing.T) {
	l, tx, _ := wired(t)
	const much = 1 << 20 // more than a socket holds
	if _, err := io.WriteString(tx, strings.Repeat("x", much)); err != nil {
		t.Fatal(err)
	}
	await.True(t, "all of it was taken", func() bool { return l.Sent.Load() == much })
}

func TestALineTakesNothingFromOthers(t *testing.T) {
	l, tx, rx := wired(t)
	l.ToggleWayBack()
	other, err := net.Dial("udp", l.rx.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	puts(t, other, "other", tx, "")
	puts(t, rx, "back", tx, "back")
	if n := l.Back.Load(); n != 4 {
		t.Errorf("%d bytes from RX are counted, want 4", n)
	}
}

func TestAConsoleIsSharedWithPrograms(t *testing.T) {
	r, w := io.Pipe()
	m := &Machine{keys: w}
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	go m.serve(at)
	guests := func() int {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.guests)
	}
	c, err := net.Dial("tcp", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(await.Bound))
	await.True(t, "the program is there", func() bool { return guests() == 1 })
	if _, err := m.Write([]byte("board up\r\n")); err != nil {
		t.Fatal(err)
	}
	puts(t, c, "s", c, "board up\r\n")
	m.Ask() // it would wait for the pipe
	key := make([]byte, 1)
	if _, err := io.ReadFull(r, key); err != nil || key[0] != 's' {
		t.Errorf("the board gets %q, %v; want the key that was typed", key, err)
	}
	_ = c.Close()
	await.True(t, "the program is gone", func() bool { return guests() == 0 })
	if _, err := m.Write([]byte("no one is there\r\n")); err != nil {
		t.Fatal(err)
	}
}
