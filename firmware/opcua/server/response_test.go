package server

import (
	"slices"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/transport"
)

// sized opens a session of a client that takes messages up to some size, 0: any.
func sized(t *testing.T, url string, hello, session uint32) (*channel.Client, *ua.NodeID) {
	t.Helper()
	conn, err := (&transport.Dialer{Limits: transport.Limits{MaxMessage: hello}, MaxMemory: 1 << 30}).Dial(t.Context(),
		url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := channel.Open(t.Context(), conn, channel.ClientConfig{Security: plain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	resp, _ := ask(t, c,
		&ua.CreateSessionRequest{RequestHeader: header(nil), RequestedSessionTimeout: 60_000,
			MaxResponseMessageSize: session,
			ClientDescription:      &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("")}})
	token := resp.(*ua.CreateSessionResponse).AuthenticationToken
	if code := activate(t, c, token); code != ua.StatusOK {
		t.Fatal(code)
	}
	return c, token
}

// largeValues is a request for values of 6 MiB each.
func largeValues(t *testing.T, s *Server, token *ua.NodeID, n int) *ua.ReadRequest {
	t.Helper()
	s.Set(named("taga0"), dataValue(t, make([]byte, 6<<20)))
	req := readRequest(token, value("tagb0"))
	for range n {
		req.NodesToRead = append(req.NodesToRead, value("taga0"))
	}
	for _, it := range req.NodesToRead {
		it.DataEncoding = &ua.QualifiedName{}
	}
	return req
}

// Only what a client says in its hello bounds the answers: node-opcua's clients send
// 800,000 bytes in CreateSession, and take more.
func TestTheHelloBoundsResponses(t *testing.T) {
	for name, tc := range map[string]struct {
		hello, session uint32
		values         int
		want           ua.StatusCode
	}{
		"any size":                   {0, 0, 3, ua.StatusOK},
		"the session's limit":        {0, 1000, 1, ua.StatusOK},
		"the hello's, at once":       {1 << 20, 0, 1, ua.StatusBadResponseTooLarge},
		"the hello's, on the way":    {15 << 20, 0, 3, ua.StatusBadResponseTooLarge},
		"the hello's, not reached":   {15 << 20, 0, 2, ua.StatusOK},
		"more than the whole memory": {0, 0, 8, ua.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := start(t, nil)
			s.Set(named("tagb0"), dataValue(t, 1.5))
			limit := tc.hello
			if limit == 0 {
				limit = 512 << 20
			}
			c, token := sized(t, url, limit, tc.session)
			body, err := channel.Encode(largeValues(t, s, token, tc.values))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := c.Do(await.Context(t), body)
			if code := resultOf(raw, err); code != tc.want {
				t.Fatalf("got %v, want %v", code, tc.want)
			}
			if tc.want == ua.StatusOK && len(raw) < tc.values*6<<20 {
				t.Errorf("got %d bytes, want %d values of 6 MiB", len(raw), tc.values)
			}
			answered(t, c, token)
			await.True(t, "nothing is held for it any more", func() bool { return s.Stats().Listener.Memory < 1<<20 })
		})
	}
}

// resultOf is how a request ended, by its answer or in the place of one.
func resultOf(raw []byte, err error) ua.StatusCode {
	if err != nil {
		return channel.Code(err)
	}
	head, _, err := channel.PeekResponse(raw)
	if err != nil {
		return channel.Code(err)
	}
	return head.Result
}

// Clients that take nothing of their large answers keep anonymous waiting, and hold little.
func TestUnreceivedLargeResponses(t *testing.T) {
	s, url := start(t, nil)
	mine, own := newSession(t, url)
	s.Set(named("taga0"), dataValue(t, make([]byte, 900<<10)))
	for range 3 * maxConcurrent {
		c, token, d := openStalled(t, url, 0)
		close(d.stopped)
		body, err := channel.Encode(readRequest(token, slices.Repeat([]*ua.ReadValueID{value("taga0")}, 40)...))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Channel.Send(900, body); err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "the answers are under way", func() bool { return s.Stats().Requests >= 3*maxConcurrent*3 })
	for range 20 {
		answered(t, mine, own)
		if held := s.Stats().Listener.Memory; held > maxMemory+100*(32<<10) {
			t.Errorf("%d bytes are held, want at most %d", held, maxMemory)
		}
	}
}

// Clients that stop receiving a response before it proves too large for them keep none of the others waiting.
func TestUnreceivedResponsesThatFailHoldNoAdmission(t *testing.T) {
	for name, tc := range map[string]struct{ clients, padding int }{
		"of small requests": {maxConcurrent, 0},
		"of a large one":    {1, smallMessage},
	} {
		t.Run(name, func(t *testing.T) {
			s, url := start(t, func(c *Config) { c.Transport.MaxMemory = 64 << 20 })
			s.Set(named("tagb0"), dataValue(t, 1.5))
			padded := func(r *ua.ReadRequest) *ua.ReadRequest {
				r.RequestHeader.AuditEntryID = strings.Repeat("x", tc.padding)
				return r
			}
			for range tc.clients {
				c, token, d := openStalled(t, url, 12<<20)
				close(d.stopped)
				body, err := channel.Encode(padded(largeValues(t, s, token, 2)))
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Channel.Send(900, body); err != nil {
					t.Fatal(err)
				}
			}
			await.True(t, "the responses fail", func() bool { return s.refused.Load() == uint64(tc.clients) })
			c, token := newSession(t, url)
			if _, code := ask(t, c, padded(readRequest(token, stateItem()))); code != ua.StatusOK {
				t.Errorf("another client: %v", code)
			}
		})
	}
}

// Of large values from which clients read small ranges, those ranges alone are held for clients that take nothing.
func TestUnreceivedRangesOfLargeValues(t *testing.T) {
	const clients, most = 12, maxMemory + 24<<20
	s, url := start(t, nil)
	s.Set(named("taga0"), dataValue(t, make([]byte, 7<<20)))
	items := make([]*ua.ReadValueID, 100)
	for i := range items {
		items[i] = value("taga0")
		items[i].IndexRange = "0:199999"
	}
	before := heap()
	for range clients {
		c, token, d := openStalled(t, url, 0)
		close(d.stopped)
		body, err := channel.Encode(readRequest(token, items...))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Channel.Send(900, body); err != nil {
			t.Fatal(err)
		}
	}
	await.True(t, "the responses wait, or are refused", func() bool {
		waiting := int(s.refused.Load())
		for _, c := range s.connections() {
			c.mu.Lock()
			if c.queuedBytes > 2*maxPart { // one part is sent, the next one waits
				waiting++
			}
			c.mu.Unlock()
		}
		return waiting >= clients
	})
	if after := heap(); after > before+most {
		t.Errorf("%d MB are held for clients that take nothing, want at most %d", (after-before)>>20, most>>20)
	}
}
