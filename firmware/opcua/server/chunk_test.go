package server

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/transport"
)

// tap is a connection that remembers what its channel said last, so that chunks of an
// attacker's can follow.
type tap struct {
	net.Conn
	mu   sync.Mutex
	head [24]byte // of the last chunk of a message: channel, token, sequence, request
}

func (p *tap) Write(b []byte) (int, error) {
	if len(b) >= 24 && string(b[:3]) == "MSG" {
		p.mu.Lock()
		copy(p.head[:], b)
		p.mu.Unlock()
	}
	return p.Conn.Write(b)
}

// chunk is the next one of a request after what was said last; change breaks it.
func (p *tap) chunk(flag byte, request uint32, body []byte, change func(channel, token, sequence *uint32)) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, token, sequence := binary.LittleEndian.Uint32(p.head[8:]), binary.LittleEndian.Uint32(p.head[12:]),
		binary.LittleEndian.Uint32(p.head[16:])+1
	binary.LittleEndian.PutUint32(p.head[16:], sequence)
	if change != nil {
		change(&id, &token, &sequence)
	}
	b := binary.LittleEndian.AppendUint32([]byte{'M', 'S', 'G', flag}, uint32(24+len(body)))
	for _, v := range [...]uint32{id, token, sequence, request} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, body...)
}

// openTapped opens a channel with a session whose chunks can be continued by hand.
func openTapped(t *testing.T, url string) (*channel.Client, *tap) {
	t.Helper()
	p := &tap{}
	dialer := &transport.Dialer{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, network, address)
		p.Conn = nc
		return p, err
	}}
	conn, err := dialer.Dial(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	c, err := channel.Open(t.Context(), conn, channel.ClientConfig{Security: plain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	made, code := create(t, c)
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	if code := activate(t, c, made.AuthenticationToken); code != ua.StatusOK {
		t.Fatal(code)
	}
	return c, p
}

// Chunks without end, of clients with sessions, who may send large messages: each
// connection ends, and together they hold what one could.
func TestEndlessMessagesAreRefused(t *testing.T) {
	for name, size := range map[string]int{"large chunks": 60_000, "tiny chunks": 1, "empty chunks": 0} {
		t.Run(name, func(t *testing.T) {
			s, url := start(t, nil)
			mine, token := newSession(t, url)
			before := heap()
			var flood sync.WaitGroup
			var clients []*channel.Client
			for range 8 {
				c, p := openTapped(t, url)
				clients = append(clients, c)
				body := make([]byte, size)
				flood.Go(func() {
					for {
						if _, err := p.Conn.Write(p.chunk('C', 900, body, nil)); err != nil {
							return
						}
					}
				})
			}
			for range 10 {
				answered(t, mine, token)
			}
			for _, c := range clients {
				await.Receive(t, "a connection that takes chunks without end is closed", c.Done())
			}
			flood.Wait()
			if grown := int64(heap()) - int64(before); grown > 64<<20 {
				t.Errorf("%d MB are held, want at most 64", grown>>20)
			}
			await.True(t, "the attackers' connections are closed", func() bool { return len(s.connections()) == 1 })
			answered(t, mine, token)
		})
	}
}

// One chunk that breaks a rule ends its connection, and nothing in it is done.
func TestMalformedChunksEndTheirConnection(t *testing.T) {
	s, url := start(t, nil)
	mine, token := newSession(t, url)
	for name, chunks := range map[string]func(p *tap, body []byte) [][]byte{
		"a stale or invented token": func(p *tap, body []byte) [][]byte {
			return [][]byte{p.chunk('F', 900, body, func(_, token, _ *uint32) { *token++ })}
		},
		"another channel's number": func(p *tap, body []byte) [][]byte {
			return [][]byte{p.chunk('F', 900, body, func(id, _, _ *uint32) { *id++ })}
		},
		"a chunk played again": func(p *tap, body []byte) [][]byte {
			b := p.chunk('F', 900, body, nil)
			return [][]byte{b, bytes.Clone(b)}
		},
		"a sequence number from before": func(p *tap, body []byte) [][]byte {
			return [][]byte{p.chunk('F', 900, body, func(_, _, sequence *uint32) { *sequence -= 2 })}
		},
		"a sequence number that wraps early": func(p *tap, body []byte) [][]byte {
			return [][]byte{p.chunk('F', 900, body, func(_, _, sequence *uint32) { *sequence = 0 })}
		},
		"two messages at a time": func(p *tap, body []byte) [][]byte {
			return [][]byte{p.chunk('C', 900, body, nil), p.chunk('F', 901, body, nil)}
		},
		"a flag that there is not": func(p *tap,
			body []byte) [][]byte {
			return [][]byte{p.chunk('X', 900, body, nil)}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, p := openTapped(t, url)
			body, err := channel.Encode(readRequest(nil, stateItem()))
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range chunks(p, body) {
				if _, err := p.Conn.Write(b); err != nil {
					break
				}
			}
			await.Receive(t, "the connection is closed", c.Done())
			answered(t, mine, token)
		})
	}
	if n := s.Stats().Faults; n != 0 {
		t.Errorf("%d handlers broke", n)
	}
}

// Requests that are begun and aborted cost their sender more than the server.
func TestAbortedRequestsHoldNoMemory(t *testing.T) {
	_, url := start(t, nil)
	mine, token := newSession(t, url)
	_, p := openTapped(t, url)
	before := heap()
	done := make(chan struct{})
	go func() {
		defer close(done)
		body := make([]byte, 50_000)
		reason := append(binary.LittleEndian.AppendUint32(nil, uint32(ua.StatusBadRequestCancelledByClient)), 0xff,
			0xff, 0xff, 0xff)
		for n := range uint32(1000) {
			for _, b := range [][]byte{p.chunk('C', 900+n, body, nil), p.chunk('A', 900+n, reason, nil)} {
				if _, err := p.Conn.Write(b); err != nil {
					return
				}
			}
		}
	}()
	for range 10 {
		answered(t, mine, token)
	}
	<-done
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("%d MB are held, want at most 64", grown>>20)
	}
}
