package syslog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
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

// port is the link, which accepts lines only.
type port struct{ sourcetest.Port }

func newPort() *port {
	return &port{sourcetest.Port{Refuse: func(u source.Update) error {
		if _, err := payload.Parse(u.Payload); err != nil || !u.Event || u.Time.IsZero() {
			return fmt.Errorf("not an event with a line and a time: %+v, %v", u, err)
		}
		return nil
	}}}
}

// got returns the lines that crossed.
func (p *port) got() (lines []payload.Line) {
	for _, u := range p.Updates() {
		l, _ := payload.Parse(u.Payload)
		lines = append(lines, l)
	}
	return lines
}

func start(t testing.TB, scheme string) (*Source, *port, string) {
	t.Helper()
	p := newPort()
	s, addr := startWith(t, scheme, p, p)
	return s, p, addr
}

// startWith runs a source whose link is to; p is the part of it that remembers.
func startWith(t testing.TB, scheme string, to source.Port, p *port) (*Source, string) {
	t.Helper()
	addr := await.FreeAddress(t)
	s, err := New(config.SyslogSource{Channel: "syslog", Listen: []string{scheme + "://" + addr}}, to, slog.New(slog.DiscardHandler))
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
	})
	await.True(t, "bound", func() bool { return p.Last().State == source.Up && p.Complete() })
	return s, addr
}

func TestFraming(t *testing.T) {
	long := strings.Repeat("x", maxMessage+5)
	for _, c := range []struct {
		name, in  string
		want      []string
		truncated bool
		err       error
	}{
		{"octet counted", "3 abc2 \n\x00", []string{"abc", "\n\x00"}, false, io.EOF},
		{"LF and NUL", "<1>a\n<2>b\x00\n\n<3>c", []string{"<1>a", "<2>b", "<3>c"}, false, io.EOF},
		{"mixed on one connection", "3 abc<1>d\n1 e", []string{"abc", "<1>d", "e"}, false, io.EOF},
		{"digits that are no count", "12ab\n12345678 x\n7\n", []string{"12ab", "12345678 x", "7"}, false, io.EOF},
		{"count beyond the stream", "9 abc", nil, false, errCut},
		{"count beyond every bound", "9999999 abc", nil, false, errOverlong},
		{"long line", long + "\n<1>b\n", []string{long[:maxMessage], "<1>b"}, true, io.EOF},
		{"long counted", fmt.Sprintf("%d %s1 b", len(long), long), []string{long[:maxMessage], "b"}, true, io.EOF},
		{"endless line", strings.Repeat("x", maxDiscard+2), nil, false, errOverlong},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &framer{r: bufio.NewReaderSize(strings.NewReader(c.in), 64), begin: func(bool) {}}
			for i := 0; ; i++ {
				text, truncated, err := f.next()
				if err != nil {
					if i != len(c.want) || !errors.Is(err, c.err) {
						t.Errorf("after %d messages: got %v, want %v after %d", i, err, c.err, len(c.want))
					}
					return
				}
				if i >= len(c.want) || string(text) != c.want[i] || truncated != (c.truncated && i == 0) {
					t.Fatalf("message %d: got %.40q (%d bytes, truncated %v)", i, text, len(text), truncated)
				}
			}
		})
	}
}

func TestFormats(t *testing.T) {
	c := newClassifier()
	for text, want := range map[string]payload.Format{
		"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - BOM'su root' failed": payload.RFC5424,
		"<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8":         payload.RFC3164,
		"<34>Oct 11 22:14:15 mymachine su: with its line feed\n":                               payload.RFC3164,
		"":            payload.Malformed,
		"hello":       payload.Malformed,
		"<999>1 - - ": payload.Malformed,
		"<34>1 bad":   payload.Malformed,
	} {
		if got := c.format([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestLinesCrossUnchanged(t *testing.T) {
	lines := []string{"<34>1 2003-10-11T22:14:15Z h a - - - x", "<34>Oct 11 22:14:15 h su: y", "no syslog \xff\x01 at all"}
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
			if string(l.Text) != lines[i] || l.Sender.String() != "127.0.0.1" || l.Format != []payload.Format{1, 2, 0}[i] {
				t.Errorf("%s line %d: got %+v, want %q", scheme, i, l, lines[i])
			}
		}
		if received, malformed := s.stats.Received.Load(), s.stats.Malformed.Load(); received != 3 || malformed != 1 {
			t.Errorf("%s: got %d received and %d malformed, want 3 and 1", scheme, received, malformed)
		}
		conn.Close()
	}
}

func TestListenerThatIsTakenIsReported(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := newPort()
	s, err := New(config.SyslogSource{Listen: []string{"tcp://" + ln.Addr().String()}}, p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	await.True(t, "reason", func() bool { e := s.Ready(); return e != nil && strings.Contains(e.Error(), "address already in use") })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestWrongListenersAreRefused(t *testing.T) {
	for _, listen := range [][]string{nil, {"http://a:1"}, {"tcp://a"}, {"tls://127.0.0.1:1"}} {
		if _, err := New(config.SyslogSource{Listen: listen}, newPort(), slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%v: got nil, want an error", listen)
		}
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
		await.True(t, "rsyslogd listens", func() bool { conn, err = net.Dial("tcp", "127.0.0.1:"+in); return err == nil })
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

func FuzzFramer(f *testing.F) {
	f.Add([]byte("3 abc<1>d\n1 e"))
	f.Add([]byte("<34>Oct 11 22:14:15 h su: y\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fr := &framer{r: bufio.NewReaderSize(bytes.NewReader(in), 64), begin: func(bool) {}}
		c, total := newClassifier(), 0
		for {
			text, _, err := fr.next()
			if err != nil {
				break
			}
			total += len(text)
			if !bytes.Contains(in, text) {
				t.Errorf("%q is not in %q", text, in)
			}
			_ = c.format(text)
		}
		if total > len(in) {
			t.Errorf("got %d bytes out of %d", total, len(in))
		}
	})
}
