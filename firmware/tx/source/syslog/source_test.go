package syslog

import (
	"bufio"
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/syslog"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
	"heliograph/firmware/tx/source/sourcetest"
)

func TestLinesCrossUnchanged(t *testing.T) {
	lines := []string{"<34>1 2003-10-11T22:14:15Z h a - - - x", "<34>Oct 11 22:14:15 h su: y",
		"no syslog \xff\x01 at all"}
	for _, scheme := range []string{"udp", "tcp"} {
		s, p, addr := start(t, scheme)
		conn, err := net.Dial(scheme, addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if scheme == "tcp" {
				l += "\n"
			}
			fmt.Fprint(conn, l)
		}
		await.True(t, "lines", func() bool { return len(p.got()) == len(lines) })
		for i, l := range p.got() {
			if string(l.Text) != lines[i] || l.Sender.String() != "127.0.0.1" ||
				l.Format != []payload.Format{1, 2, 0}[i] {
				t.Errorf("%s line %d: got %+v, want %q", scheme, i, l, lines[i])
			}
		}
		if received, malformed := s.stats.Received.Load(), s.stats.Malformed.Load(); received != 3 || malformed != 1 {
			t.Errorf("%s: got %d received and %d malformed, want 3 and 1", scheme, received, malformed)
		}
		conn.Close()
	}
}

func TestLinesThatTheLinkRefusesAreCounted(t *testing.T) {
	s := &Source{port: &sourcetest.Port{Refuse: func(source.Update) error { return source.ErrTooLarge }}}
	s.putLine(newClassifier(), payload.UDP, netip.Addr{}, []byte("x"), false)
	if got := s.stats.Refused.Load(); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

func TestRealSendersArriveCompleteAndInOrder(t *testing.T) {
	rsyslogd, err := exec.LookPath("rsyslogd")
	if err != nil {
		t.Skip("not proved: rsyslog as a sender, because rsyslogd is not installed")
	}
	for _, framing := range []string{"octet-counted", "traditional"} {
		_, p, addr := start(t, "tcp")
		dir := t.TempDir()
		_, forward, _ := net.SplitHostPort(addr)
		_, in, _ := net.SplitHostPort(await.FreeAddress(t))
		conf := filepath.Join(dir, "conf")
		text := fmt.Sprintf(`global(workDirectory="%s")
module(load="imtcp" MaxSessions="10")
input(type="imtcp" port="%s")
template(name="raw" type="string" string="%%rawmsg%%")
action(type="omfwd" target="127.0.0.1" port="%s" protocol="tcp" TCP_Framing="%s" template="raw")
`, dir, in, forward, framing)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		cmd := exec.Command(rsyslogd, "-n", "-f", conf, "-i", filepath.Join(dir, "pid"))
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var conn net.Conn
		await.True(t, "rsyslogd listens", func() bool {
			conn,
				err = net.Dial("tcp", "127.0.0.1:"+in)
			return err == nil
		})
		want := func(i int) string { return fmt.Sprintf("<34>1 2003-10-11T22:14:15Z h a - - - line %d é", i) }
		for i := range 2000 {
			fmt.Fprintf(conn, "%s\n", want(i))
		}
		lines := func() (mine []string) {
			for _, l := range p.got() {
				if bytes.Contains(l.Text, []byte(" - line ")) {
					mine = append(mine, string(l.Text))
				}
			}
			return mine
		}
		await.True(t, "2000 lines", func() bool { return len(lines()) >= 2000 })
		conn.Close()
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		for i, got := range lines() {
			if got != want(i) {
				t.Fatalf("%s: line %d: got %q, want %q; %s", framing, i, got, want(i), out.String())
			}
		}
	}
}

func TestRateOverTCP(t *testing.T) {
	_, p, addr := start(t, "tcp")
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 20000
	began := time.Now()
	w := bufio.NewWriter(conn)
	for i := range n {
		fmt.Fprintf(w, "<34>1 2003-10-11T22:14:15Z host app - - - number %d of a test\n", i)
	}
	w.Flush()
	await.True(t, "all lines", func() bool { return len(p.got()) == n })
	t.Logf("%.0f lines/s", n/time.Since(began).Seconds())
}

func TestAllocationsPerLine(t *testing.T) {
	s, err := New(config.SyslogSource{Listen: []string{"tcp://127.0.0.1:1"}}, &sourcetest.Discard{},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	const line = "<34>1 2003-10-11T22:14:15Z host app - - - number of a test\n"
	f := &framer{r: bufio.NewReader(strings.NewReader(strings.Repeat(line, 2000))), begin: func(bool) {}}
	c := newClassifier()
	framing := testing.AllocsPerRun(500, func() {
		if _, _, err := f.next(); err != nil {
			t.Fatal(err)
		}
	})
	if framing > 0 {
		t.Errorf("framing: got %v allocations, want 0", framing)
	}
	text := []byte(line)
	parsing := testing.AllocsPerRun(500, func() { c.format(text) })
	all := testing.AllocsPerRun(500, func() { s.putLine(c, payload.TCP, netip.Addr{}, text, false) })
	if all > parsing+1 {
		t.Errorf("got %v allocations a line, want the payload beside the parser's %v", all, parsing)
	}
	t.Logf("%v allocations a line, %v of them the parser's", all, parsing)
}
