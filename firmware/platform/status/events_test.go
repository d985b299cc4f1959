package status

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/trend"
)

// client is a browser at /events, whose connection is a pipe.
type client struct {
	http.ResponseWriter
	to       io.Writer
	deadline time.Time
}

func (c *client) Write(b []byte) (int, error)           { return c.to.Write(b) }
func (c *client) Flush()                                {}
func (c *client) SetWriteDeadline(at time.Time) error   { c.deadline = at; return nil }
func (c *client) serve(h http.Handler, r *http.Request) { h.ServeHTTP(c, r) }
func newClient(to io.Writer) *client                    { return &client{httptest.NewRecorder(), to, time.Time{}} }
func request(ctx context.Context, from string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/events", nil)
	r.RemoteAddr = from + ":1000"
	return r
}

func TestEventsAreTheSnapshotEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(rx())
		made := 0
		s.Snapshot = func() Snapshot { made++; return rx() }
		h := s.Handler()
		ctx, stop := context.WithCancel(t.Context())
		var got [2]strings.Builder
		for i := range got {
			go newClient(&got[i]).serve(h, request(ctx, "192.0.2.1"))
		}
		time.Sleep(2500 * time.Millisecond) // of the simulated clock
		stop()
		synctest.Wait()
		if got[0].String() != got[1].String() || made != 3 {
			t.Errorf("got %d snapshots, want 3 that both clients have", made)
		}
		lines := strings.Split(got[0].String(), "\n")
		if len(lines) != 15 || lines[0] != "retry: 3000" || lines[2] != "id: 1" || lines[3] != "event: status" ||
			lines[10] != "id: 3" || lines[13] != "" {
			t.Fatalf("got %d lines: %q", len(lines), lines)
		}
		var snap Snapshot
		if err := json.Unmarshal([]byte(strings.TrimPrefix(lines[4], "data: ")), &snap); err != nil ||
			snap.Pair != "press-hall" || snap.Trust == nil {
			t.Errorf("got %v, %+v", err, snap)
		}
		if n := s.streams.open.Len(); n != 0 {
			t.Errorf("%d clients are left", n)
		}
	})
}

func TestClientsOfEventsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(rx())
		h := s.Handler()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan string, 2*maxStreams)
		open := func(from string) {
			newClient(io.Discard).serve(h, request(ctx, from))
			ended <- from
		}
		go open("192.0.2.2")
		for range maxStreams + 3 {
			go open("192.0.2.1")
		}
		synctest.Wait()
		if n := s.streams.open.Len(); n != maxStreams || len(ended) != 4 || s.counts.StreamsEvicted.Load() != 4 {
			t.Errorf("got %d open, %d ended; want %d, 4", n, len(ended), maxStreams)
		}
		for range len(ended) {
			if from := <-ended; from != "192.0.2.1" {
				t.Errorf("that of %s ended, want those of the address with most", from)
			}
		}
		stop()
		synctest.Wait()
	})
}

func TestStreamEnds(t *testing.T) {
	for name, c := range map[string]struct {
		to    io.Writer
		after time.Duration
	}{
		"after its time":             {io.Discard, streamFor},
		"with a client that is gone": {failing{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, own := time.Now(), newClient(c.to)
				own.serve(server(rx()).Handler(), request(t.Context(), "192.0.2.1"))
				if took := time.Since(began); took != c.after {
					t.Errorf("ended after %v, want %v", took, c.after)
				}
				if left := time.Until(own.deadline); left <= 0 || left > writeTimeout+streamEvery {
					t.Errorf("the last event has %v, want %v", left, writeTimeout)
				}
			})
		})
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("gone") }

// pipes is a listener for connections of a test.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, open := <-p; open {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestEventsOutlastTheDeadlinesOfARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server(rx())
		ending, stop := context.WithCancel(t.Context())
		s.ending = ending
		listener, served := make(pipes, 1), make(chan error)
		h := s.server(s.Handler())
		go func() { served <- h.Serve(listener) }()
		client, accepted := net.Pipe()
		listener <- accepted
		if _, err := io.WriteString(client, "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		time.AfterFunc(10*requestTimeout, stop)
		answer, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 10*requestTimeout {
			t.Errorf("ended after %v, want %v: with the server", took, 10*requestTimeout)
		}
		client.Close()
		close(listener)
		<-served
	})
}

func TestEventsAreGuarded(t *testing.T) {
	s := server(rx())
	s.Verify = func(string, string, netip.Addr) bool { return false }
	for _, path := range []string{"/events", "/history.json"} {
		if got := get(t, s, http.MethodGet, path, nil); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: got %d, want 401", path, got.StatusCode)
		}
	}
	if got := get(t, server(rx()), http.MethodHead, "/events", nil); got.StatusCode != http.StatusOK ||
		got.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: got %+v", got)
	}
}

func TestHistoryIsServed(t *testing.T) {
	s := server(rx())
	if got := get(t, s, http.MethodGet, "/history.json", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("where none is kept: got %d, want 404", got.StatusCode)
	}
	ring := trend.New([]trend.Figure{{Name: "frames", Unit: "1/s"}})
	s.History = func(span string) (trend.History, bool) { return ring.History(span, noon) }
	for query, want := range map[string]string{
		"":          `{"span":"10m","step_seconds":2,"to":"2026-11-23T12:00:02Z","series":[{"name":"frames","unit":"1/s","values":[null,`,
		"?span=1d":  `{"span":"1d","step_seconds":300,`,
		"?span=1mo": `{"span":"1mo","step_seconds":7200,`,
		"?span=1y":  "span must be 10m or 1d or 1mo",
	} {
		got := get(t, s, http.MethodGet, "/history.json"+query, nil)
		code := map[bool]int{true: http.StatusOK, false: http.StatusBadRequest}[want[0] == '{']
		if body := bodyOf(t, got); !strings.HasPrefix(body, want) || got.StatusCode != code {
			t.Errorf("%s: got %d %s, want %d %s", query, got.StatusCode, body, code, want)
		}
	}
}
