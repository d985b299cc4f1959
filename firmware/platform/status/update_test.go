package status

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/release"
)

// updates is what a test has done with an update.
type updates struct {
	receive func(io.Reader, int64) error
	running *release.Running
}

func (u updates) Receive(from io.Reader, size int64) error { return u.receive(from, size) }
func (u updates) Running() *release.Running                { return u.running }

func TestUpdateIsTakenByPutAlone(t *testing.T) {
	var got string
	var size int64
	s := server(Snapshot{})
	put := func(method string) (int, string) {
		t.Helper()
		server := httptest.NewServer(s.Handler())
		defer server.Close()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/update", strings.NewReader("a release"))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, bodyOf(t, answer)
	}
	if code, _ := put(http.MethodPut); code != http.StatusMethodNotAllowed {
		t.Errorf("without a board: got %d, want %d", code, http.StatusMethodNotAllowed)
	}
	s.Updates = updates{receive: func(r io.Reader, n int64) error {
		b, err := io.ReadAll(r)
		got, size = string(b), n
		return err
	}}
	if code, _ := put(http.MethodPut); code != http.StatusAccepted || got != "a release" || size != 9 {
		t.Errorf("got %d with %q of %d bytes, want %d", code, got, size, http.StatusAccepted)
	}
	got = ""
	if code, _ := put(http.MethodPost); code != http.StatusMethodNotAllowed || got != "" {
		t.Errorf("by POST: got %d with %q, want %d", code, got, http.StatusMethodNotAllowed)
	}
	s.Updates = updates{receive: func(io.Reader, int64) error { return &Refusal{http.StatusConflict, "an older one"} }}
	if code, why := put(http.MethodPut); code != http.StatusConflict || why != "an older one\n" {
		t.Errorf("refused: got %d %q, want %d with the reason", code, why, http.StatusConflict)
	}
	s.Updates = updates{receive: func(io.Reader, int64) error { return errors.New("a fault") }}
	if code, _ := put(http.MethodPut); code != http.StatusInternalServerError {
		t.Errorf("a fault: got %d, want %d", code, http.StatusInternalServerError)
	}
	if taken, refused := s.counts.UpdatesTaken.Load(), s.counts.UpdatesRefused.Load(); taken != 1 || refused != 2 {
		t.Errorf("got %d taken and %d refused, want 1 and 2", taken, refused)
	}
	s.UpdateListen = "127.0.0.1:0"
	if code, _ := put(http.MethodPut); code != http.StatusForbidden {
		t.Errorf("with a listener of its own: got %d, want %d", code, http.StatusForbidden)
	}
}

// A refusal is answered at once, though the client has the rest of its file to send.
func TestUpdateIsRefusedBeforeItsBodyHasCome(t *testing.T) {
	s := server(Snapshot{})
	s.Updates = updates{receive: func(from io.Reader, _ int64) error {
		_, err := io.ReadFull(from, make([]byte, 16))
		return errors.Join(err, &Refusal{http.StatusUnprocessableEntity, "the signature"})
	}}
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "PUT /update HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000000\r\n\r\n%s",
		strings.Repeat("x", 4096))
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := bodyOf(t, answer); answer.StatusCode != http.StatusUnprocessableEntity ||
		!strings.Contains(got, "the signature") {
		t.Errorf("got %d %q, want 422", answer.StatusCode, got)
	}
}

// A client that sends on reads the answer all the same, over the listener that shares
// connections.
func TestRefusalReachesAClientThatSendsOn(t *testing.T) {
	s := server(Snapshot{})
	s.Listen = "127.0.0.1:0"
	s.Updates = updates{receive: func(from io.Reader, _ int64) error {
		_, err := io.ReadFull(from, make([]byte, 16))
		return errors.Join(err, &Refusal{http.StatusUnprocessableEntity, "the signature"})
	}, running: &release.Running{}}
	serve(t, s)
	for range 20 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+s.Address()+"/update",
			io.LimitReader(endless{}, 8<<20))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 8 << 20
		answer, err := from("127.0.0.1").Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, answer); answer.StatusCode != http.StatusUnprocessableEntity ||
			!strings.Contains(got, "the signature") {
			t.Fatalf("got %d %q, want 422 with the reason", answer.StatusCode, got)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// slow is a body that gives n bytes at a time, and the deadline that is set for it.
type slow struct {
	n        int
	pause    time.Duration
	deadline time.Time
}

func (s *slow) Read(b []byte) (int, error) {
	time.Sleep(min(s.pause, time.Until(s.deadline)+1))
	if time.Now().After(s.deadline) {
		return 0, errors.New("deadline")
	}
	return min(len(b), s.n), nil
}

func TestSlowUploadLosesItsTurn(t *testing.T) {
	for _, tt := range []struct {
		name     string
		n        int
		pause    time.Duration
		from, to time.Duration // when it loses its turn
	}{
		{"nothing comes", 1, time.Hour, updateGrace, updateGrace + time.Second},
		{"a byte a second", 1, time.Second, updateGrace, updateGrace + 2*time.Second},
		{"half of the slowest rate", SlowestUpdate / 2, time.Second, 2*updateGrace - time.Second,
			2*updateGrace + 3*time.Second},
		{"the slowest rate", SlowestUpdate, time.Second, time.Hour, time.Hour},
		{"in bursts", 5 * SlowestUpdate, 5 * time.Second, time.Hour, time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				body := &slow{n: tt.n, pause: tt.pause}
				began := time.Now()
				p := &paced{from: body, deadline: func(at time.Time) error { body.deadline = at; return nil },
					began: began}
				b := make([]byte, 8<<20)
				for time.Since(began) < time.Hour {
					if _, err := p.Read(b); err != nil {
						break
					}
				}
				if took := time.Since(began).Truncate(time.Second); took < tt.from || took > tt.to {
					t.Errorf("got its turn for %v, want %v to %v", took, tt.from, tt.to)
				}
			})
		})
	}
}

func TestReleaseIsShown(t *testing.T) {
	s := server(rx())
	s.Updates = updates{running: &release.Running{Version: 7, Name: "v7", OnTrial: true,
		Update: &release.Outcome{Time: time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC), Version: 8,
			Result: release.RolledBack, Reason: "state stuck"}}}
	for path, want := range map[string][]string{
		"/status.json": {`"version": 7`, `"on_trial": true`, `"result": "went_back"`, `"reason": "state stuck"`},
		"/metrics": {"heliograph_release_version_number 7", "heliograph_release_trial 1",
			`heliograph_update_result{result="went_back"} 1`, `heliograph_update_result{result="kept"} 0`},
		"/": {"<dd>7, on trial", "rolled back", "state stuck"},
	} {
		got := bodyOf(t, get(t, s, http.MethodGet, path, nil))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: got none of %q:\n%s", path, w, got)
			}
		}
	}
}

// logUntil keeps a log, and calls a function at a line with a text.
type logUntil struct {
	bytes.Buffer
	line string
	then func()
}

func (l *logUntil) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(l.line)) {
		l.then()
	}
	return l.Buffer.Write(b)
}

func TestAHostSaysThatItTakesNoUpdates(t *testing.T) {
	for name, c := range map[string]struct {
		updates Updates
		address string
		said    bool
	}{
		"a host":  {nil, "127.0.0.1:0", true},
		"a board": {&updates{}, "127.0.0.1:0", false},
		"nothing": {nil, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			log := &logUntil{line: "status page", then: stop}
			s := server(rx())
			s.Listen, s.UpdateListen, s.Updates = "127.0.0.1:0", c.address, c.updates
			s.Log = slog.New(slog.NewTextHandler(log, nil))
			if err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
			if said := strings.Contains(log.String(), "update_listen is not opened"); said != c.said {
				t.Errorf("got log %s", log.String())
			}
		})
	}
}
