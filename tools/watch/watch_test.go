package watch

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"heliograph/ci/await"
	"heliograph/firmware/platform/status"
)

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]Address{
		"rx-1":                      {"rx-1", "", "http://rx-1:9464/status.json", "rx-1"},
		"rx-1:9465":                 {"rx-1:9465", "", "http://rx-1:9465/status.json", "rx-1"},
		"[fd00::1]:9465":            {"[fd00::1]:9465", "", "http://[fd00::1]:9465/status.json", "fd00::1"},
		"https://ann@rx-1:9464/":    {"https://rx-1:9464", "ann", "https://rx-1:9464/status.json", "rx-1"},
		"https://it.example":        {"https://it.example", "", "https://it.example/status.json", "it.example"},
		"ann@rx-1":                  {"rx-1", "ann", "http://rx-1:9464/status.json", "rx-1"},
		"http://127.0.0.1:9464":     {"127.0.0.1:9464", "", "http://127.0.0.1:9464/status.json", "127.0.0.1"},
		"https://ann:secret@rx-1":   {},
		"ftp://rx-1":                {},
		"http://rx-1/status.json":   {},
		"":                          {},
		"rx 1":                      {},
		"rx-1:port":                 {},
		"rx-1:99999":                {},
		"rx-1:0":                    {},
		"fd00::1":                   {},
		"http://rx-1:9464/?all=yes": {},
	} {
		got, err := ParseAddress(in)
		if got != want || (err == nil) != (want != Address{}) {
			t.Errorf("%q: got %+v, %v; want %+v", in, got, err, want)
		}
		if in == "fd00::1" && (err == nil || !strings.Contains(err.Error(), "[fd00::1]:9464")) {
			t.Errorf("%q: %v does not say how it is written", in, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", in, err)
		}
	}
}

// serve answers each request the same.
func serve(t *testing.T, code int, body string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, given := r.BasicAuth(); given && code == 200 && strings.Contains(body, "no user") {
			t.Error("a password went to an address without a user")
		}
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// say answers each connection with the same bytes once it was asked something, and ends it.
func say(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = c.Read(make([]byte, 4096))
			fmt.Fprint(c, answer)
			c.Close()
		}
	}()
	return l.Addr().String()
}

// redirect refers each request to another address.
func redirect(t *testing.T, to string) string {
	t.Helper()
	s := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func watcher(t *testing.T, l Login, addresses ...string) *Watcher {
	t.Helper()
	var list []Address
	for _, s := range addresses {
		a, err := ParseAddress(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return New(list, l)
}

func TestARecordedStatus(t *testing.T) {
	rows := watcher(t, Login{}, serve(t, 200, string(recorded(t)))).Once(t.Context())
	r := rows[0]
	if r.Pair != "mill-2" || r.Role != "rx" || r.Level != No || r.Link != "up" || r.Channels != 2 ||
		fmt.Sprint(r.Trouble) != "[cell-1]" || r.Margin.Frames == 0 || r.Contact.IsZero() {
		t.Errorf("got %+v", r)
	}
}

func TestWhatDoesNotAnswerSaysWhy(t *testing.T) {
	for name, c := range map[string]struct{ address, want string }{
		"refused":   {await.FreeAddress(t), "connection refused"},
		"user":      {serve(t, 401, ""), "asks for a user"},
		"password":  {"ann@" + serve(t, 401, ""), "user ann or the password is wrong"},
		"host":      {serve(t, 421, ""), "hosts in [status]"},
		"elsewhere": {redirect(t, "http://"+serve(t, 200, `{"role":"rx"}`)), "not followed"},
		"another":   {serve(t, 404, ""), "HTTP 404"},
		"not JSON":  {serve(t, 200, "<html>"), "not the status of a board"},
		"another's": {serve(t, 200, `{"role":"king"}`), "not the status of a board"},
		"no TLS":    {"https://" + serve(t, 200, "{}"), "write http://"},
		"large":     {serve(t, 200, strings.Repeat(" ", maxAnswer+1)), "larger than 8 MiB"},
		"another protocol": {say(t, "SSH-2.0\r\n"+strings.Repeat("\x00\xff", 400)), "is not a status " +
			"server"},
		"another protocol in place of TLS": {"https://" + say(t, "SSH-2.0-OpenSSH_9.2\r\n"), "is not a status server"},
		"closed":                           {say(t, ""), "closed the connection without an answer"},
		"TLS":                              {say(t, "\x15\x03\x01\x00\x02\x02\x46"), "write https://"},
		"control bytes":                    {serve(t, 200, "{\"role\":\"\x1b]0;\"}"), "not the status"},
	} {
		rows := watcher(t, Login{Password: "p"}, c.address).Once(t.Context())
		if r := rows[0]; r.Level != NoAnswer || !strings.Contains(r.Why(), c.want) || strings.Contains(r.Why(), "\n") ||
			len(r.Why()) > 150 {
			t.Errorf("%s: got %q %q, want %q in it", name, r.Level, r.Why(), c.want)
		}
	}
	for want, err := range map[string]error{
		"no answer within 5s":                   context.DeadlineExceeded,
		"the name nowhere.invalid is not known": &net.DNSError{Name: "nowhere.invalid", IsNotFound: true},
		"no nameserver answers":                 &net.DNSError{Name: "board", IsTimeout: true},
	} {
		if got := reason(err, "a").Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); name != "ann" || password != "secret" {
			w.WriteHeader(401)
			return
		}
		fmt.Fprint(w, `{"role":"rx","pair":"p"}`)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	address := "https://ann@" + s.Listener.Addr().String()
	sum := sha256.Sum256(s.Certificate().Raw)
	own := hex.EncodeToString(sum[:])
	if r := watcher(t, Login{Password: "secret"}, address).Once(t.Context())[0]; !strings.Contains(r.Why(),
		"--trust "+own) {
		t.Errorf("without trust: got %q, want the certificate's SHA-256", r.Why())
	}
	trusted, err := ParseTrusted([]string{strings.ToUpper(own[:2]) + ":" + own[2:]})
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]Login{"named": {Trusted: trusted}, "by an authority": {Roots: roots(s)}} {
		l.Password = "secret"
		if r := watcher(t, l, address).Once(t.Context())[0]; r.Level != Yes {
			t.Errorf("%s: got %q %q, want yes", name, r.Level, r.Why())
		}
	}
	for _, bad := range []string{"", "12", own + "00", "zz" + own[2:]} {
		if _, err := ParseTrusted([]string{bad}); err == nil {
			t.Errorf("%q is taken as a SHA-256", bad)
		}
	}
}

func TestASilentAddressHoldsUpNoOther(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	well := serve(t, 200, `{"role":"rx","pair":"well","no user":1}`)
	w := watcher(t, Login{Password: "p"}, silent.Addr().String(), well)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { w.Run(ctx, func() {}); close(ended) }()
	await.True(t, "a row of the board that answers", func() bool {
		rows := w.Rows()
		return len(rows) > 0 && rows[len(rows)-1].Pair == "well"
	})
	stop()
	<-ended
}

func TestAPairThatFallsSilentKeepsItsName(t *testing.T) {
	answering := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !answering {
			w.WriteHeader(500)
		}
		fmt.Fprint(w, `{"role":"rx","pair":"press"}`)
	}))
	defer s.Close()
	w := watcher(t, Login{}, s.Listener.Addr().String())
	now := time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC)
	w.now = func() time.Time { return now }
	w.Once(t.Context())
	answering, now = false, now.Add(time.Minute)
	r := w.Once(t.Context())[0]
	if text := strings.Join(detail(&r, 200, now), "\n"); !strings.Contains(text, "last answer 1 min ago") {
		t.Errorf("got %s, want the age of the last answer", text)
	}
	never := Row{Address: "rx-9:9464", Level: NoAnswer, Since: now}
	if text := strings.Join(detail(&never, 200, now), "\n"); !strings.Contains(text, "rx-9:9464, no answer yet") {
		t.Errorf("got %s of a board that never answered", text)
	}
	if r.Pair != "press" || r.Level != NoAnswer || !r.Since.Equal(now) || !r.Contact.Equal(now.Add(-time.Minute)) {
		t.Errorf("got %+v; want press, without an answer since %s, last answer a minute ago", r, now)
	}
}

func TestMargin(t *testing.T) {
	b := &board{status: &status.Snapshot{UptimeSeconds: 7}}
	at, start := time.Unix(0, 0), time.Unix(-7, 0)
	note := func(after time.Duration, frames, repaired, lost uint64) {
		at = at.Add(after)
		b.note(figures{at, at.Sub(start).Seconds(), frames, repaired, lost})
	}
	check := func(name string, want Margin) {
		t.Helper()
		if got := b.margin(); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	note(0, 100, 3, 1)
	check("asked once: since its start", Margin{7, 100, 3, 1})
	note(2*time.Second, 150, 4, 1)
	check("two figures", Margin{2, 50, 1, 0})
	for range 1000 {
		note(2*time.Second, b.figures[len(b.figures)-1].frames+10, 4, 2)
	}
	if got := b.margin(); got.Seconds < 600 || got.Seconds > 620 || got.Frames < 3000 || got.Frames > 3100 ||
		len(b.figures) > 80 {
		t.Errorf("after half an hour: got %+v of %d figures, want those of ten minutes", got, len(b.figures))
	}
	start = at.Add(time.Second)
	note(2*time.Second, 5, 0, 0)
	check("started again", Margin{7, 5, 0, 0})
	start = at.Add(8 * time.Minute)
	note(10*time.Minute, 1000, 0, 2)
	check("started again while it was not asked, with more frames than before", Margin{7, 1000, 0, 2})
	note(2*time.Second, 1050, 0, 3)
	check("goes on", Margin{2, 50, 0, 1})
}

func TestRowsAreSortedWorstFirst(t *testing.T) {
	rows := watcher(t, Login{}, serve(t, 200, `{"role":"rx","pair":"b"}`), serve(t, 200, `{"role":"rx","pair":"a"}`),
		serve(t, 500, ""), serve(t, 200, `{"role":"rx","pair":"z","link":{"state":"lost"}}`),
		serve(t, 200, `{"role":"rx","pair":"c","reasons":["x"]}`)).Once(t.Context())
	var got []string
	for _, r := range rows {
		got = append(got, r.Level+" "+r.Pair)
	}
	if want := "no answer |no z|partly c|yes a|yes b"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", strings.Join(got, "|"), want)
	}
	if Trusted(rows) || !Trusted(rows[3:]) {
		t.Error("all are trusted when some are not, or the other way round")
	}
}

func TestSidesOfAPairAreNamed(t *testing.T) {
	rows := watcher(t, Login{}, serve(t, 200, `{"role":"rx","pair":"a"}`), serve(t, 200,
		`{"role":"tx","pair":"a"}`)).Once(t.Context())
	for i, side := range []string{"RX", "TX"} {
		var b bytes.Buffer
		if err := Table(&b, rows[i:i+1], 60, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{b.String(), line(&rows[i], time.Now())} {
			if !strings.Contains(text, side) {
				t.Errorf("%q does not name %s", text, side)
			}
		}
	}
}

func TestPairsOfOneNameShowTheirAddresses(t *testing.T) {
	long := strings.Repeat("press hall ", 9)
	for name, c := range map[string]struct {
		roles, pairs [2]string
		want         bool
	}{
		"two pairs":              {[2]string{"rx", "rx"}, [2]string{"hall", "hall"}, true},
		"two of a long name":     {[2]string{"rx", "rx"}, [2]string{long, long}, true},
		"two sides of a pair":    {[2]string{"rx", "tx"}, [2]string{"hall", "hall"}, false},
		"two pairs of two names": {[2]string{"rx", "rx"}, [2]string{"hall", "yard"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			answer := func(i int) string {
				return serve(t, 200, fmt.Sprintf(`{"role":%q,"pair":%q}`, c.roles[i], c.pairs[i]))
			}
			rows := watcher(t, Login{}, answer(0), answer(1)).Once(t.Context())
			for _, width := range []int{48, 60, 200} {
				var b bytes.Buffer
				if err := Table(&b, rows, width, time.Now()); err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					if got := strings.Count(b.String(), r.Address); got != map[bool]int{true: 1}[c.want] {
						t.Errorf("%d wide, %s %d times:\n%s", width, r.Address, got, &b)
					}
				}
				for l := range strings.Lines(b.String()) {
					if got := lipgloss.Width(strings.TrimRight(l, "\n")); got >= width {
						t.Errorf("a line is %d wide, of %d: %s", got, width, l)
					}
				}
			}
		})
	}
}

func TestJSONLinesWaitForNoBoard(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	w := watcher(t, Login{}, silent.Addr().String(), serve(t, 200, `{"role":"rx","pair":"well"}`))
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- JSONLines(ctx, w, in) }()
	var rows []Row
	lines := bufio.NewScanner(out)
	for len(rows) == 0 && lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
	}
	if last := rows[len(rows)-1]; last.Pair != "well" || last.Level != Yes {
		t.Errorf("got %+v, want the board that answers", rows)
	}
	stop()
	out.Close()
	<-ended // its last line may have found the pipe closed
}

func TestJSONHasNoNullLists(t *testing.T) {
	var b bytes.Buffer
	rows := watcher(t, Login{}, serve(t, 200, `{"role":"rx","pair":"a"}`), serve(t, 500, "")).Once(t.Context())
	if err := JSON(&b, rows); err != nil || strings.Contains(b.String(), "null") {
		t.Errorf("got %s, %v; want no null", b.String(), err)
	}
}

// press sends keys to a screen.
func press(s *Screen, keys ...rune) {
	for _, k := range keys {
		s.Update(tea.KeyPressMsg(tea.Key{Code: k, Text: map[bool]string{true: string(k)}[k < 128 && k > ' ']}))
	}
}

func TestScreen(t *testing.T) {
	hostile := `{"role":"rx","pair":"evil\u001b[2J","trust":{"level":"no","sentence":"\u009b31m",` +
		`"reasons":[{"channel":"\u202e","text":"` + strings.Repeat("long \\u001b]0;x\\u0007 ", 60) + `"}]}}`
	w := watcher(t, Login{}, serve(t, 200, string(recorded(t))), serve(t, 200, hostile), serve(t, 500, ""))
	w.Once(t.Context())
	for _, size := range [][2]int{{200, 50}, {80, 24}, {40, 10}, {20, 4}} {
		s := &Screen{watcher: w, width: size[0], height: size[1]}
		s.Update(tick(time.Now()))
		list := s.String()
		press(s, tea.KeyDown, tea.KeyDown, tea.KeyEnter, tea.KeyDown)
		for name, text := range map[string]string{"list": list, "detail": s.String()} {
			if strings.ContainsAny(text, "\x07\u009b\u202e") || strings.Contains(text, "\x1b[2J") ||
				strings.Contains(text, "\x1b]") {
				t.Errorf("%s of %v: control characters of a board", name, size)
			}
			lines := strings.Split(text, "\n")
			if len(lines) > size[1] {
				t.Errorf("%s of %v: %d lines", name, size, len(lines))
			}
			for _, l := range lines {
				if lipgloss.Width(l) > size[0] && size[0] > 40 {
					t.Errorf("%s of %v: %q is %d wide", name, size, l, lipgloss.Width(l))
				}
			}
		}
	}
}

func TestKeysOfTheScreen(t *testing.T) {
	w := watcher(t, Login{}, serve(t, 200, `{"role":"rx","pair":"a"}`), serve(t, 200, string(recorded(t))))
	w.Once(t.Context())
	s := &Screen{watcher: w, width: 100, height: 40}
	s.Update(tick(time.Now()))
	press(s, tea.KeyDown, tea.KeyUp, tea.KeyUp, tea.KeyEnter)
	if got := s.String(); !strings.Contains(got, "mill-2  The numbers cannot be trusted.") ||
		!strings.Contains(got, "SOURCES AND SINKS") {
		t.Errorf("got %s, want all of mill-2, the worst", got)
	}
	press(s, tea.KeyEscape, 'j', 'l')
	if got := s.String(); !strings.Contains(got, "a  The numbers can be trusted.") {
		t.Errorf("got %s, want all of a", got)
	}
	if s.key("x") || !s.key("q") {
		t.Error("q does not end the screen, or x does")
	}
}

func TestLinesAreOfChanges(t *testing.T) {
	w := watcher(t, Login{}, serve(t, 200, `{"role":"rx","pair":"a\nb"}`), serve(t, 500, ""))
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- Lines(ctx, w, in) }()
	lines := bufio.NewScanner(out)
	got := ""
	for range 2 {
		lines.Scan()
		got += lines.Text()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(got, "a?b RX (") || !strings.Contains(got, "no answer: The board does not answer.") {
		t.Errorf("got %q", got)
	}
}

func roots(s *httptest.Server) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(s.Certificate())
	return p
}
