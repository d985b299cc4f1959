package channel

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

func name(s Security) string {
	return s.Policy[strings.LastIndexByte(s.Policy, '#')+1:] + "/" + strings.TrimPrefix(s.Mode.String(),
		"MessageSecurityMode")
}

func TestBothRolesOpenEveryPolicyAndMode(t *testing.T) {
	for _, bits := range []int{2048, 3072} {
		for _, s := range everySecurity {
			t.Run(fmt.Sprint(bits, "/", name(s)), func(t *testing.T) {
				server, client := pair(bits)
				sc, cc := link(t, transport.Limits{}, transport.Limits{ReceiveBuffer: 8192, SendBuffer: 9001})
				ended := echo(t, serverConfig(server), sc)
				c, err := Open(t.Context(), cc, clientConfig(s, client, server))
				if err != nil {
					t.Fatal(err)
				}
				for _, size := range []int{0, 1, 15, 16, 17, 8192, 100_000} {
					body := bytes.Repeat([]byte{byte(size)}, size)
					got, err := c.Do(t.Context(), body)
					if err != nil || !bytes.Equal(got, body) {
						t.Fatalf("%d bytes: got %d bytes, %v", size, len(got), err)
					}
				}
				c.Close()
				if err := <-ended; err != io.EOF {
					t.Errorf("after the client closed: got %v, want EOF", err)
				}
			})
		}
	}
}

func TestRenewalUnderLoadLosesNothing(t *testing.T) {
	for _, s := range []Security{everySecurity[0], everySecurity[2], everySecurity[6]} {
		t.Run(name(s), func(t *testing.T) {
			server, client := pair(2048)
			synctest.Test(t, func(t *testing.T) {
				sc, cc := link(t, transport.Limits{}, transport.Limits{})
				cfg := serverConfig(server)
				cfg.MinLifetime = 4 * time.Second
				echo(t, cfg, sc)
				ccfg := clientConfig(s, client, server)
				ccfg.Lifetime = time.Second // revised to 4 s
				c, err := Open(t.Context(), cc, ccfg)
				if err != nil {
					t.Fatal(err)
				}
				var work sync.WaitGroup
				for w := range 4 {
					work.Go(func() {
						for i := range 300 { // 30 s: ten renewals
							body := []byte(fmt.Sprint(w, i))
							got, err := c.Do(t.Context(), body)
							if err != nil || !bytes.Equal(got, body) {
								t.Errorf("request %d: got %q, %v", i, got, err)
								return
							}
							time.Sleep(100 * time.Millisecond)
						}
					})
				}
				work.Wait()
				if got := c.tokens.newest().id; got < 10 {
					t.Errorf("after 30 s the token is number %d, want at least 10", got)
				}
				c.Close()
			})
		})
	}
}

func TestIdleClientKeepsItsChannelAliveByRenewing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		echo(t, serverConfig(Identity{}), sc)
		cfg := clientConfig(everySecurity[0], Identity{}, Identity{})
		cfg.Lifetime = 20 * time.Second
		c, err := Open(t.Context(), cc, cfg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if _, err := c.Do(t.Context(), []byte("still here")); err != nil {
			t.Error(err)
		}
		c.Close()
	})
}

func TestChannelThatIsNotRenewedEndsAQuarterAfterItsLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		ended := echo(t, serverConfig(Identity{}), sc)
		cfg := clientConfig(everySecurity[0], Identity{}, Identity{})
		cfg.Lifetime = 100 * time.Second
		c, err := open(t.Context(), cc, cfg) // without the goroutine that renews
		if err != nil {
			t.Fatal(err)
		}
		go c.receiveAll()
		time.Sleep(124 * time.Second)
		if _, err := c.Do(t.Context(), []byte("late, but accepted")); err != nil {
			t.Errorf("within the overlap: %v", err)
		}
		start := time.Now()
		if err := <-ended; !errors.Is(err, ua.StatusBadTimeout) {
			t.Errorf("got %v, want Bad_Timeout", err)
		}
		if got := time.Since(start); got > 2*time.Second {
			t.Errorf("ended %v after the overlap", got)
		}
		if _, err := c.Do(t.Context(), nil); err == nil {
			t.Error("an expired channel took a request")
		}
		c.Close()
	})
}

func TestLifetimesAreRevised(t *testing.T) {
	for wish, want := range map[time.Duration]time.Duration{
		time.Millisecond:              10 * time.Second,
		time.Minute:                   time.Minute,
		1000 * time.Hour:              time.Hour,
		4294967295 * time.Millisecond: time.Hour,
	} {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		echo(t, serverConfig(Identity{}), sc)
		cfg := clientConfig(everySecurity[0], Identity{}, Identity{})
		cfg.Lifetime = wish
		c, err := Open(t.Context(), cc, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.tokens.newest().lifetime; got != want {
			t.Errorf("wish %v: got %v, want %v", wish, got, want)
		}
		c.Close()
	}
}

func TestLargeMessagesAreRefusedBeforeAnyOfThemIsSent(t *testing.T) {
	for what, limits := range map[string]transport.Limits{
		"bytes":  {MaxMessage: 20_000},
		"chunks": {MaxChunks: 2, ReceiveBuffer: 8192},
	} {
		t.Run(what, func(t *testing.T) {
			sc, cc := link(t, transport.Limits{MaxMessage: 100_000}, limits)
			echo(t, serverConfig(Identity{}), sc)
			c, err := Open(t.Context(), cc, clientConfig(everySecurity[0], Identity{}, Identity{}))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Do(t.Context(), make([]byte, 30_000))
			if err != nil {
				t.Fatal(err)
			}
			if head, _, err := PeekResponse(got); err != nil || head.Result != ua.StatusBadResponseTooLarge {
				t.Errorf("response: got %+v, %v; want a fault with Bad_ResponseTooLarge", head, err)
			}
			if _, err := c.Do(t.Context(), make([]byte, 100_001)); !errors.Is(err, ua.StatusBadRequestTooLarge) {
				t.Errorf("request: got %v, want Bad_RequestTooLarge", err)
			}
			if _, err := c.Do(t.Context(), []byte("x")); err != nil {
				t.Errorf("the channel did not survive: %v", err)
			}
			c.Close()
		})
	}
}

func TestResponseBeyondOurLimitsCostsOnlyItsRequest(t *testing.T) {
	sc, cc := link(t, transport.Limits{}, transport.Limits{ReceiveBuffer: 8192})
	echo(t, serverConfig(Identity{}), sc)
	c, err := Open(t.Context(), cc, clientConfig(everySecurity[0], Identity{}, Identity{}))
	if err != nil {
		t.Fatal(err)
	}
	c.SetMaxMessage(10_000)
	if _, err := c.Do(t.Context(), make([]byte, 50_000)); !errors.Is(err, ua.StatusBadResponseTooLarge) {
		t.Errorf("got %v, want Bad_ResponseTooLarge", err)
	}
	if got, err := c.Do(t.Context(), []byte("next")); err != nil || string(got) != "next" {
		t.Errorf("after it: got %q, %v", got, err)
	}
	c.Close()
}

func TestLateResponsesAreCountedAndDropped(t *testing.T) {
	sc, cc := link(t, transport.Limits{}, transport.Limits{})
	s, _ := NewServer(serverConfig(Identity{}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	release := make(chan struct{})
	go func() {
		c, err := s.Open(context.Background(), sc)
		if err != nil {
			return
		}
		first, _ := c.Receive()
		cancel()
		<-release
		second, _ := c.Receive()
		_ = c.Send(first.RequestID, first.Body)
		_ = c.Send(second.RequestID, second.Body)
		_, _ = c.Receive()
	}()
	c, err := Open(t.Context(), cc, clientConfig(everySecurity[0], Identity{}, Identity{}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, []byte("first")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that it was canceled", err)
	}
	close(release)
	if got, err := c.Do(t.Context(), []byte("second")); err != nil || string(got) != "second" {
		t.Errorf("got %q, %v; want the second response", got, err)
	}
	if got := c.Late(); got != 1 {
		t.Errorf("late: got %d, want 1", got)
	}
	c.Close()
}

func TestChannelNumbersAreRandomAndFreed(t *testing.T) {
	s, _ := NewServer(serverConfig(Identity{}))
	seen := map[uint32]bool{}
	for range 100 {
		n := s.newID()
		if n == 0 || seen[n] || n < 1000 && seen[n+1] {
			t.Fatalf("number %d", n)
		}
		seen[n] = true
		s.Forget(&Channel{id: n})
	}
	if got := len(s.ids); got != 0 {
		t.Errorf("%d numbers are held", got)
	}
}

func TestSendingAllocatesNothing(t *testing.T) {
	server, client := pair(2048)
	for _, s := range []Security{everySecurity[0], everySecurity[1], everySecurity[2]} {
		t.Run(name(s), func(t *testing.T) {
			sc, cc := linkTCP(t) // a pipe in memory allocates for its deadlines
			srv, _ := NewServer(serverConfig(server))
			ready := make(chan *Channel)
			go func() {
				c, _ := srv.Open(context.Background(), sc)
				ready <- c
			}()
			c, err := open(t.Context(), cc, clientConfig(s, client, server))
			if err != nil {
				t.Fatal(err)
			}
			in := <-ready
			body := make([]byte, 20_000)
			go func() {
				for c.Send(7, body) == nil {
				}
			}()
			got := testing.AllocsPerRun(50, func() {
				m, err := in.Receive()
				if err != nil || len(m.Body) != len(body) {
					t.Fatal(err)
				}
				in.Recycle(m.Body)
			})
			if got > 0 {
				t.Errorf("a message from sender to receiver allocates %v times, want 0", got)
			}
		})
	}
}
