package channel

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/transport"
)

func TestRenewalsAreBoundToTheChannel(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(a *attacker)
		want ua.StatusCode
	}{
		"another mode": {func(a *attacker) { a.peer.Mode = ua.MessageSecurityModeSign },
			ua.StatusBadSecurityChecksFailed},
		"another certificate": {func(a *attacker) { a.identity = newIdentity(2048) }, ua.StatusBadSecurityChecksFailed},
		"another policy": {func(a *attacker) { a.policy.uri = ua.SecurityPolicyURIAes128Sha256RsaOaep },
			ua.StatusBadSecurityChecksFailed},
		"policy None": {func(a *attacker) {
			a.policy = policy{uri: ua.SecurityPolicyURINone}
			a.rsa = &asymmetric{policy: a.policy}
		}, ua.StatusBadSecurityChecksFailed},
		"another channel": {func(a *attacker) { a.id++ }, ua.StatusBadTCPSecureChannelUnknown},
		"stale sequence":  {func(a *attacker) { a.sendSeq-- }, ua.StatusBadSequenceNumberInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, everySecurity[2], transport.Limits{})
			c.do(a)
			go func() { _ = a.sendOpenRequest(true, 2) }()
			if got := lastWords(t, a.conn); got.Code != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			<-a.ended
		})
	}
}

func TestRenewalFloodIsRefused(t *testing.T) {
	a := attack(t, everySecurity[2], transport.Limits{})
	go func() {
		for n := uint32(2); a.sendOpenRequest(true, n) == nil; n++ {
		}
	}()
	if got := lastWords(t, a.conn); got.Code != ua.StatusBadTCPServerTooBusy {
		t.Errorf("got %v, want Bad_TcpServerTooBusy", got)
	}
	<-a.ended
}

func TestOldTokenIsRefusedOnceTheNewOneWasUsed(t *testing.T) {
	a := attack(t, everySecurity[2], transport.Limits{})
	old := a.tokens.newest()
	if err := a.sendOpenRequest(true, 2); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.receiveChunk(); err != nil || a.tokens.newest() == old {
		t.Fatalf("no new token: %v", err)
	}
	if err := a.Send(3, []byte("with the new one")); err != nil {
		t.Fatal(err)
	}
	if m, err := a.Receive(); err != nil || m.RequestID != 3 {
		t.Fatalf("got %+v, %v", m, err)
	}
	a.tokens.use = old
	go func() { _ = a.Send(4, []byte("with the old one")) }()
	if got := lastWords(t, a.conn); got.Code != ua.StatusBadSecureChannelTokenUnknown {
		t.Errorf("got %v, want Bad_SecureChannelTokenUnknown", got)
	}
}

func TestClientAcceptsOnlyTheExpectedServer(t *testing.T) {
	server, client := pair(2048)
	impostor := newIdentity(2048)
	sc, cc := link(t, transport.Limits{}, transport.Limits{})
	cfg := serverConfig(impostor)
	ended := echo(t, cfg, sc)
	if _, err := Open(t.Context(), cc, clientConfig(everySecurity[2], client, server)); err == nil {
		t.Error("a channel to an impostor was opened")
	}
	<-ended
	_, cc = link(t, transport.Limits{}, transport.Limits{})
	ccfg := clientConfig(everySecurity[2], client, server)
	ccfg.Authorize = func(context.Context, Peer) error { return &refusal{ua.StatusBadCertificateUntrusted} }
	if _, err := Open(t.Context(), cc, ccfg); !errors.Is(err, ua.StatusBadCertificateUntrusted) {
		t.Errorf("got %v, want our own refusal", err)
	}
}

func TestSequenceNumbersWrap(t *testing.T) {
	for _, c := range []struct {
		last, next uint32
		want       bool
	}{
		{5, 6, true}, {5, 5, false}, {5, 4, false}, {5, 7, false}, {5, 0, false},
		{4294966271, 1, true}, {4294966271, 1023, true}, {4294966271, 1024, false}, {4294966271, 4294966272, true},
		{4294966270, 1, false}, {4294967295, 0, true}, {4294967295, 1, true},
	} {
		s := sequence{last: c.last, started: true}
		if got := s.accept(c.next); got != c.want {
			t.Errorf("after %d came %d: got %v, want %v", c.last, c.next, got, c.want)
		}
	}
	s := sequence{}
	for n, i := uint32(4294966000), 0; i < 2000; i++ {
		if !s.accept(n) {
			t.Fatalf("our own number %d after %d is refused", n, s.last)
		}
		n = nextSequence(n)
	}
}

func FuzzServerStream(f *testing.F) {
	f.Add([]byte("OPNF\x20\x00\x00\x00"))
	req := openRequest{mode: ua.MessageSecurityModeNone, lifetime: time.Hour}
	good, err := (&asymmetric{policy: policy{uri: ua.SecurityPolicyURINone}}).sealOpen(
		openHeader{policy: ua.SecurityPolicyURINone}, secured{1, 1, req.encode(time.Unix(1e9, 0))})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good),
		"MSGF\x18\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"...))
	server, _ := pair(2048)
	f.Fuzz(func(t *testing.T, stream []byte) {
		a := &assembler{memory: unlimited{}, maxBytes: 1000, maxChunks: 10}
		for b := stream; len(b) >= transport.HeaderSize; {
			h, err := transport.ParseHeader(b)
			if err != nil || int64(h.Size) > int64(len(b)) {
				break
			}
			chunk := b[:h.Size]
			b = b[h.Size:]
			if open, err := parseOpenHeader(chunk); err == nil {
				if !bytes.Equal(open.append(nil)[transport.HeaderSize:][:4], chunk[transport.HeaderSize:][:4]) ||
					open.size > len(chunk) {
					t.Fatal("header does not re-encode")
				}
				if p, ok := policyOf(open.policy); ok {
					rsa, err := newAsymmetric(p, server.Key, &server.Key.PublicKey)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := rsa.openOpen(chunk, open); err == nil && !p.none() {
						t.Fatal("forged")
					}
				}
			}
			if len(chunk) >= symmetricBody {
				_, done, err := a.add(h.Chunk, 1, chunk[symmetricBody:], time.Time{})
				if len(a.buf) > 1000 || a.chunks > 10 && err == nil && !done {
					t.Fatal("beyond the limits")
				}
				if err != nil {
					break
				}
			}
		}
	})
}

type unlimited struct{}

func (unlimited) Reserve(int) error { return nil }
func (unlimited) Release(int)       {}
