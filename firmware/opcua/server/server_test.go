package server

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
)

func TestCloseSessionsAndReopen(t *testing.T) {
	s, url := start(t, nil)
	c, _ := newSession(t, url)
	s.CloseSessions(ua.StatusBadSessionClosed)
	await.Receive(t, "the channel is closed", c.Done())
	again := open(t, url)
	if _, code := create(t, again); code != ua.StatusBadServerHalted {
		t.Errorf("a session while the address space is replaced: %v", code)
	}
	s.Reopen()
	newSession(t, url)
	if n := s.sessions.count(); n != 1 {
		t.Errorf("%d sessions, want the new one", n)
	}
}

func TestUntrustedChannelsAreClosed(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
	c, err := connect(t, url, secured[1], theirs, client.User{})
	if err != nil {
		t.Fatal(err)
	}
	s.CheckTrust()
	if c.Err() != nil {
		t.Fatalf("a trusted client was disconnected: %v", c.Err())
	}
	if _, err := ours.Distrust(ours.List("trusted")[0].Thumbprint); err != nil {
		t.Fatal(err)
	}
	s.CheckTrust()
	await.Receive(t, "a client that is not trusted any more is disconnected", c.Done())
}

// pausing is a log that waits, with every channel that CheckTrust is about to close, until release is closed.
type pausing struct {
	slog.Handler
	closing, release chan struct{}
}

func (p pausing) Handle(_ context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "channel closed: ") {
		p.closing <- struct{}{}
		<-p.release
	}
	return nil
}

func (p pausing) Enabled(context.Context, slog.Level) bool { return true }
func (p pausing) WithAttrs([]slog.Attr) slog.Handler       { return p }

// A client that does not receive delays its own error alone.
func TestUntrustedChannelsAreClosedConcurrently(t *testing.T) {
	const clients = 3
	p := pausing{closing: make(chan struct{}, clients), release: make(chan struct{})}
	s, url, theirs := pair(t, func(c *Config) { c.Log = slog.New(p) })
	ours := s.cfg.Store
	var connected []*client.Session
	for range clients {
		c, err := connect(t, url, secured[1], theirs, client.User{})
		if err != nil {
			t.Fatal(err)
		}
		connected = append(connected, c)
	}
	if _, err := ours.Distrust(ours.List("trusted")[0].Thumbprint); err != nil {
		t.Fatal(err)
	}
	var check sync.WaitGroup
	defer check.Wait()
	release := sync.OnceFunc(func() { close(p.release) })
	defer release()
	check.Go(s.CheckTrust)
	for range clients {
		await.Receive(t, "another channel is being closed", p.closing)
	}
	release()
	for _, c := range connected {
		await.Receive(t, "the client is disconnected", c.Done())
	}
}

// Plants have certificates that are long expired, or name another host, and a client's may
// be expired too: each side tolerates only what it is configured to.
func TestExpiredCertificatesAreToleratedWhereConfigured(t *testing.T) {
	both := pki.Tolerance{HostName: true, Dates: true}
	for name, c := range map[string]struct {
		server, client *pki.Store
		expired        bool // the client is listed
		tolerate       pki.Tolerance
		want           ua.StatusCode
	}{
		"an expired client": {store(t, "urn:test:server"), outdated(t, "urn:test:client", "x"), false,
			pki.Tolerance{}, ua.StatusBadCertificateTimeInvalid},
		"an expired client that is named": {store(t, "urn:test:server"), outdated(t, "urn:test:client", "x"), true,
			pki.Tolerance{}, 0},
		"an expired server": {outdated(t, "urn:test:server", "127.0.0.1"), store(t, "urn:test:client"),
			false, pki.Tolerance{HostName: true}, ua.StatusBadCertificateTimeInvalid},
		"a server behind another name": {outdated(t, "urn:test:server", "plant"), store(t, "urn:test:client"), false,
			pki.Tolerance{Dates: true}, ua.StatusBadCertificateHostNameInvalid},
		"a server that is overlooked": {outdated(t, "urn:test:server", "plant"), store(t, "urn:test:client"), false,
			both, 0},
	} {
		t.Run(name, func(t *testing.T) {
			trust(t, c.server, c.client.Own().Certificate, false)
			trust(t, c.client, c.server.Own().Certificate, false)
			_, url := start(t, func(cfg *Config) {
				cfg.Store, cfg.Security = c.server, secured
				if c.expired {
					cfg.Expired = []string{pki.Thumbprint(c.client.Own().Certificate.Raw)}
				}
			})
			s, err := client.Connect(t.Context(),
				client.Config{Endpoint: url, Policy: secured[1].Policy, Mode: secured[1].Mode, Store: c.client,
					Tolerate: c.tolerate})
			if err == nil {
				s.Close()
			}
			if (err == nil) != (c.want == 0) || err != nil && channel.Code(err) != c.want {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if overlooked := c.server.Stats().Certificates + c.client.Stats().Certificates; c.want == 0 &&
				overlooked != 1 {
				t.Errorf("%d certificates are counted as tolerated, want 1", overlooked)
			}
		})
	}
}

// outdated makes a store whose certificate is expired, and names a host.
func outdated(t *testing.T, uri, host string) *pki.Store {
	t.Helper()
	cfg := pki.Config{Directory: t.TempDir(), Application: pki.Application{URI: uri, Name: uri, Hosts: []string{host}},
		Log: slog.New(slog.DiscardHandler)}
	cfg.Now = func() time.Time { return time.Now().AddDate(-30, 0, 0) }
	if _, err := pki.Open(cfg); err != nil {
		t.Fatal(err)
	}
	cfg.Now = nil
	s, err := pki.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
