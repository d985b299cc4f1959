package syslog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/sinktest"
	"heliograph/firmware/rx/spool"
)

func start(t testing.TB, cfg config.SyslogSink) *Sink {
	t.Helper()
	q, err := spool.Open(t.TempDir(), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	account := &sinktest.Channel{}
	s, err := New(cfg, Deps{Queue: q, Account: account}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		q.Close()
	})
	return s
}

func line(i int) string { return fmt.Sprintf("<34>1 2003-10-11T22:14:15Z h a - - - line %06d é", i) }

func deliver(s *Sink, from, to int) {
	for i := from; i < to; i++ {
		s.Deliver(sink.Update{Event: true, Payload: payload.Append(nil, payload.Line{Text: []byte(line(i))})})
	}
}

// collector starts rsyslogd; stop kills it at once.
func collector(t testing.TB, module, port, out string) (stop func()) {
	t.Helper()
	rsyslogd, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("not proved: rsyslog as a collector, because rsyslogd is not installed")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf(`global(workDirectory="%s")
module(load="%s")
template(name="raw" type="string" string="%%rawmsg%%\n")
input(type="%s" port="%s" address="127.0.0.1")
action(type="omfile" file="%s" template="raw")
`, dir, module, module, port, out)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(stop)
	return stop
}

// arrived returns the lines in the collector's file that are ours.
func arrived(path string) (lines []string) {
	content, _ := os.ReadFile(path)
	for l := range strings.Lines(string(content)) {
		if strings.Contains(l, " - line ") {
			lines = append(lines, strings.TrimSuffix(l, "\n"))
		}
	}
	return lines
}

func TestRsyslogReceivesEveryLineInOrder(t *testing.T) {
	for _, scheme := range []string{"tcp", "udp"} {
		out, port := filepath.Join(t.TempDir(), "out"), strconv.Itoa(await.FreePort(t))
		collector(t, "im"+scheme, port, out)
		s := start(t, config.SyslogSink{Channel: "syslog", Forward: scheme + "://127.0.0.1:" + port})
		if scheme == "udp" { // whether a UDP collector listens shows in its file alone
			i := 0
			await.True(t, "rsyslogd listens", func() bool {
				s.Deliver(sink.Update{Event: true,
					Payload: payload.Append(nil, payload.Line{Text: fmt.Appendf(nil, "<34>1 - - - - - probe %d", i)})})
				i++
				content, _ := os.ReadFile(out)
				return bytes.Contains(content, []byte("probe"))
			})
		}
		for i := 0; i < 2000; i += 100 {
			deliver(s, i, i+100)
			if scheme == "udp" {
				await.True(t, "udp lines", func() bool { return len(arrived(out)) >= i+100 })
			}
		}
		await.True(t, "2000 lines", func() bool { return len(arrived(out)) >= 2000 })
		for i, got := range arrived(out) {
			if got != line(i) {
				t.Fatalf("%s: line %d: got %q, want %q", scheme, i, got, line(i))
			}
		}
	}
}

func TestKilledCollectorLosesNoAcknowledgedLine(t *testing.T) {
	dir, port := t.TempDir(), strconv.Itoa(await.FreePort(t))
	first, second := filepath.Join(dir, "first"), filepath.Join(dir, "second")
	stop := collector(t, "imtcp", port, first)
	s := start(t, config.SyslogSink{Channel: "syslog", Forward: "tcp://127.0.0.1:" + port})
	deliver(s, 0, 1000)
	await.True(t, "these lines", func() bool { return len(arrived(first)) == 1000 })
	deliver(s, 1000, 1500)
	stop()
	deliver(s, 1500, 2000)
	await.True(t, "down", func() bool { state, _ := s.Status(); return state == sink.Down })
	collector(t, "imtcp", port, second)
	await.True(t, "last line", func() bool { l := arrived(second); return len(l) > 0 && l[len(l)-1] == line(1999) })
	seen := map[string]int{}
	for _, l := range append(arrived(first), arrived(second)...) {
		seen[l]++
	}
	duplicates := 0
	for i := range 2000 {
		if seen[line(i)] == 0 {
			t.Errorf("line %d is lost", i)
		}
		duplicates += max(0, seen[line(i)]-1)
	}
	t.Logf("%d duplicates", duplicates)
	if got := s.stats.Resent.Load(); uint64(duplicates) > got {
		t.Errorf("counted as sent again: got %d, want at least %d", got, duplicates)
	}
}

// What an outage delayed is forwarded as it is, in the order in which it comes.
func TestLateLinesAreForwarded(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := start(t, config.SyslogSink{Channel: "syslog", Forward: "udp://" + conn.LocalAddr().String()})
	for i := range 3 {
		text := []byte(line(i))
		s.Deliver(sink.Update{Event: true, Late: i > 0, Payload: payload.Append(nil, payload.Line{Text: text})})
	}
	for i := range 3 {
		b := make([]byte, 1<<10)
		if n, _, err := conn.ReadFrom(b); err != nil || string(b[:n]) != line(i) {
			t.Errorf("got %q, %v; want %q", b[:n], err, line(i))
		}
	}
}

func TestWrongCollectorsAreRefused(t *testing.T) {
	for _, forward := range []string{"", "http://a:1", "tcp://a"} {
		if _, err := New(config.SyslogSink{Forward: forward}, Deps{}, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%q: got nil, want an error", forward)
		}
	}
}

// refusals checks that a counter and the account agree.
func refusals(t *testing.T, s *Sink, got uint64) {
	t.Helper()
	if refused := s.account.(*sinktest.Channel).RefusedTotal(); refused != got {
		t.Errorf("got %d refused in the account, want %d", refused, got)
	}
}

func TestUnreadableRecordsAreRefusedOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := start(t, config.SyslogSink{Channel: "syslog", Forward: "tcp://" + ln.Addr().String()})
	s.Deliver(sink.Update{Event: true, Payload: []byte("not a line")})
	s.Deliver(sink.Update{Event: true, Payload: payload.Append(nil, payload.Line{})})
	if got := s.stats.Unreadable.Load(); got != 2 {
		t.Errorf("delivered: got %d unreadable, want 2", got)
	}
	refusals(t, s, 2)
	s.queue.Append([]byte("of a spool of another version"))
	deliver(s, 0, 1)
	first, err := ln.Accept() // what it was sent is sent again on the second
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(first, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	_ = first.(*net.TCPConn).SetLinger(0)
	first.Close()
	second, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	await.True(t, "forwarded", func() bool { return s.stats.Forwarded.Load() == 1 })
	if unreadable, resent := s.stats.Unreadable.Load(), s.stats.Resent.Load(); unreadable != 3 || resent != 1 {
		t.Errorf("got %d unreadable and %d resent, want 3 and 1", unreadable, resent)
	}
	refusals(t, s, 3)
}

func TestDatagramsThatComeBackAreRefused(t *testing.T) {
	s := start(t, config.SyslogSink{Channel: "syslog", Forward: "udp://" + await.FreeAddress(t)})
	deliver(s, 0, 10)
	await.True(t, "counted", func() bool { return s.stats.Unreached.Load() > 0 })
	await.True(t, "in the account", func() bool {
		return s.account.(*sinktest.Channel).RefusedTotal() == s.stats.Unreached.Load()
	})
}

func TestLinesThatADatagramDoesNotHoldAreCutAndCounted(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s := start(t, config.SyslogSink{Channel: "syslog", Forward: "udp://" + conn.LocalAddr().String()})
	s.Deliver(sink.Update{Event: true, Payload: payload.Append(nil, payload.Line{Text: make([]byte, maxDatagram+5)})})
	n, _, err := conn.ReadFrom(make([]byte, 1<<17))
	if err != nil || n != maxDatagram {
		t.Errorf("got %d bytes and %v, want %d", n, err, maxDatagram)
	}
	await.True(t, "forwarded", func() bool { return s.stats.Forwarded.Load() == 1 })
	if got := s.stats.Truncated.Load(); got != 1 {
		t.Errorf("got %d truncated, want 1", got)
	}
	refusals(t, s, 0)
}
