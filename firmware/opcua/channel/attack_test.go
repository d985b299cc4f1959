package channel

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/transport"
)

// attacker is a client that builds its chunks by hand.
type attacker struct {
	*Client
	t     *testing.T
	ended <-chan error
}

func attack(t *testing.T, s Security, limits transport.Limits) *attacker {
	t.Helper()
	server, client := pair(2048)
	sc, cc := link(t, limits, transport.Limits{})
	ended := echo(t, serverConfig(server), sc)
	c, err := open(t.Context(), cc, clientConfig(s, client, server))
	if err != nil {
		t.Fatal(err)
	}
	return &attacker{c, t, ended}
}

// chunk builds a MSG chunk under the newest token.
func (a *attacker) chunk(flag byte, request uint32, body []byte) []byte {
	b := transport.Header{Type: transport.ServiceMessage, Chunk: flag}.Append(make([]byte, 0, 70_000))
	for _, v := range [...]uint32{a.id, a.tokens.newest().id, a.nextSequence(), request} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return a.tokens.newest().send.seal(append(b, body...))
}

// refused writes chunks until the server has had enough, and checks what it says.
func (a *attacker) refused(want ua.StatusCode, chunks ...[]byte) *transport.Error {
	a.t.Helper()
	go func() {
		for _, b := range chunks {
			if a.conn.WriteChunk(b) != nil {
				return
			}
		}
	}()
	got := lastWords(a.t, a.conn)
	if got.Code != want {
		a.t.Errorf("got %v, want %v", got, want)
	}
	return got
}

// lastWords reads up to the server's ERR message.
func lastWords(t *testing.T, conn *transport.Conn) *transport.Error {
	t.Helper()
	for {
		h, b, err := conn.ReadChunk(time.Now().Add(await.Bound))
		if err != nil {
			t.Fatalf("the server said nothing: %v", err)
		}
		if h.Type == transport.Err {
			return transport.ParseError(b[transport.HeaderSize:])
		}
	}
}

func TestServerRejectsViolationsOnAnOpenChannel(t *testing.T) {
	set := func(b []byte, at int, v uint32) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	for name, c := range map[string]struct {
		do   func(a *attacker) [][]byte
		want ua.StatusCode
	}{
		"another channel's number": {func(a *attacker) [][]byte {
			return [][]byte{set(a.chunk('F', 2, nil), 8, a.id+1)}
		}, ua.StatusBadTCPSecureChannelUnknown},
		"unknown token": {func(a *attacker) [][]byte { return [][]byte{set(a.chunk('F', 2, nil), 12, 99)} },
			ua.StatusBadSecureChannelTokenUnknown},
		"replayed chunk": {func(a *attacker) [][]byte {
			b := a.chunk('F', 2, []byte("open the valve"))
			return [][]byte{b, bytes.Clone(b)}
		}, ua.StatusBadSequenceNumberInvalid},
		"left out chunk": {func(a *attacker) [][]byte { a.nextSequence(); return [][]byte{a.chunk('F', 2, nil)} },
			ua.StatusBadSequenceNumberInvalid},
		"reordered chunks": {func(a *attacker) [][]byte {
			one, two := bytes.Clone(a.chunk('F', 2, nil)), a.chunk('F', 3, nil)
			return [][]byte{two, one}
		}, ua.StatusBadSequenceNumberInvalid},
		"two messages mixed": {func(a *attacker) [][]byte {
			return [][]byte{bytes.Clone(a.chunk('C', 2, nil)), a.chunk('F', 3, nil)}
		}, ua.StatusBadTCPInternalError},
		"a second hello": {func(*attacker) [][]byte {
			return [][]byte{transport.HelloBody{ReceiveBuffer: 65535, SendBuffer: 65535}.AppendHello(nil)}
		}, ua.StatusBadTCPMessageTypeInvalid},
		"reverse hello": {func(*attacker) [][]byte {
			return [][]byte{append(transport.Header{Type: transport.ReverseHello, Chunk: 'F', Size: 16}.Append(nil),
				make([]byte, 8)...)}
		}, ua.StatusBadTCPMessageTypeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, everySecurity[2], transport.Limits{})
			a.refused(c.want, c.do(a)...)
			if err := <-a.ended; err == nil {
				t.Error("the server's channel went on")
			}
		})
	}
}

func TestEndlessAndTinyChunksAreCutOff(t *testing.T) {
	for name, c := range map[string]struct{ size, most int }{
		"endless chunks":  {8000, 200_000 / 8000},
		"one-byte chunks": {1, 100},
		"empty chunks":    {0, 100},
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, everySecurity[0], transport.Limits{MaxMessage: 200_000, MaxChunks: 100})
			go func() {
				for range c.most + 10 {
					if a.conn.WriteChunk(a.chunk('C', 2, make([]byte, c.size))) != nil {
						return
					}
				}
			}()
			if got := lastWords(t, a.conn); got.Code != ua.StatusBadTCPMessageTooLarge {
				t.Errorf("got %v, want Bad_TcpMessageTooLarge", got)
			}
			<-a.ended
		})
	}
}

func TestIncompleteMessageTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		ended := echo(t, serverConfig(Identity{}), sc)
		c, err := open(t.Context(), cc, clientConfig(everySecurity[0], Identity{}, Identity{}))
		if err != nil {
			t.Fatal(err)
		}
		a := &attacker{c, t, ended}
		start := time.Now()
		a.refused(ua.StatusBadTimeout, a.chunk('C', 2, make([]byte, 5000)))
		if got := time.Since(start); got != messageTime {
			t.Errorf("kept for %v, want %v", got, messageTime)
		}
		<-ended
	})
}

// A large response on a slow line goes on as long as its chunks come.
func TestAResponseMayTakeLongerThanARequest(t *testing.T) {
	begin := time.Now()
	for name, client := range map[string]bool{"request": false, "response": true} {
		a := &assembler{memory: unlimited{}, maxBytes: 1000, maxChunks: 10, client: client}
		for i := range 3 {
			now := begin.Add(time.Duration(i) * messageTime * 2 / 3)
			if _, _, err := a.add(transport.Intermediate, 1, []byte("part"), now); err != nil {
				t.Fatal(err)
			}
			if want := map[bool]time.Time{true: now, false: begin}[client]; !a.since.Equal(want) {
				t.Errorf("%s, chunk %d: got the time from %v on, want %v", name, i, a.since, want)
			}
		}
	}
}

func TestAbortedRequestIsDropped(t *testing.T) {
	a := attack(t, everySecurity[2], transport.Limits{})
	reason := append(binary.LittleEndian.AppendUint32(nil, uint32(ua.StatusBadRequestTooLarge)), 0xff, 0xff, 0xff, 0xff)
	go func() {
		_ = a.conn.WriteChunk(bytes.Clone(a.chunk('C', 2, []byte("half"))))
		_ = a.conn.WriteChunk(bytes.Clone(a.chunk('A', 2, reason)))
		_ = a.conn.WriteChunk(a.chunk('F', 3, []byte("whole")))
	}()
	m, err := a.Receive()
	if err != nil || m.RequestID != 3 || string(m.Body) != "whole" {
		t.Errorf("got %+v, %v; want the answer to request 3", m, err)
	}
}

func TestEveryFlippedBitOfASecuredChunkGetsTheSameError(t *testing.T) {
	for _, s := range everySecurity[1:3] {
		t.Run(name(s), func(t *testing.T) {
			p, _ := policyOf(s.Policy)
			nonceA, nonceB := Nonce(), Nonce()
			seal, err := newDirection(p, s.Mode, nonceA, nonceB, true)
			if err != nil {
				t.Fatal(err)
			}
			open, _ := newDirection(p, s.Mode, nonceA, nonceB, false)
			plain := append(make([]byte, symmetricBody, 200), "the body"...)
			good := seal.seal(plain)
			for i := range good {
				for bit := range 8 {
					bad := bytes.Clone(good)
					bad[i] ^= 1 << bit
					_, err := open.open(bad)
					if err == nil || err.Error() != errSecurity().Error() {
						t.Fatalf("byte %d bit %d: got %v", i, bit, err)
					}
				}
			}
			for n := range good {
				if _, err := open.open(bytes.Clone(good[:n])); err == nil {
					t.Fatalf("a chunk cut to %d bytes was taken", n)
				}
			}
			if got, err := open.open(good); err != nil || string(got[sequenceHeader:]) != "the body" {
				t.Errorf("the good chunk: got %q, %v", got, err)
			}
		})
	}
}

// No padding oracle (CVE-2018-7559, Bleichenbacher, Manger): any fault in
// an open request, the server's bytes are the same.
func TestOpenRequestsThatFailToDecryptOrVerifyGetTheSameError(t *testing.T) {
	server, client := pair(2048)
	other := newIdentity(2048)
	answer := func(chunk []byte) string {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		ended := echo(t, serverConfig(server), sc)
		go func() { _ = cc.WriteChunk(chunk) }()
		e := lastWords(t, cc)
		<-ended
		return e.Error()
	}
	p, _ := policyOf(ua.SecurityPolicyURIBasic256Sha256)
	seal := func(key *rsa.PrivateKey, change func([]byte)) []byte {
		a, err := newAsymmetric(p, key, &server.Key.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		req := openRequest{mode: ua.MessageSecurityModeSignAndEncrypt, nonce: Nonce(), lifetime: time.Hour}
		b, err := a.sealOpen(openHeader{policy: p.uri, certificate: client.Certificate,
			thumbprint: Thumbprint(server.Certificate)},
			secured{1, 1, req.encode(time.Now())})
		if err != nil {
			t.Fatal(err)
		}
		change(b)
		return b
	}
	want := (&transport.Error{Code: ua.StatusBadSecurityChecksFailed, Remote: true}).Error()
	for what, chunk := range map[string][]byte{
		"another's signature": seal(other.Key, func([]byte) {}),
		"block that does not decrypt": seal(client.Key, func(b []byte) {
			_, _ = rand.Read(b[len(b)-256:])
			b[len(b)-256] = 0
		}),
		"block above the modulus": seal(client.Key, func(b []byte) {
			for i := range 256 {
				b[len(b)-1-i] = 0xff
			}
		}),
		"all blocks the same": seal(client.Key, func(b []byte) { copy(b[len(b)-256:], b[len(b)-512:]) }),
		"header was tampered": seal(client.Key, func(b []byte) { b[len(b)-257] ^= 1 }),
		"ciphertext cut short": func() []byte {
			b := seal(client.Key, func([]byte) {})
			b = b[:len(b)-1]
			binary.LittleEndian.PutUint32(b[4:], uint32(len(b)))
			return b
		}(),
	} {
		if got := answer(chunk); got != want {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	sc, cc := link(t, transport.Limits{}, transport.Limits{})
	echo(t, serverConfig(server), sc)
	go func() { _ = cc.WriteChunk(seal(client.Key, func([]byte) {})) }()
	if h, _, err := cc.ReadChunk(time.Now().Add(await.Bound)); err != nil || h.Type != transport.OpenChannel {
		t.Errorf("the untampered request: got %v, %v", h.Type, err)
	}
}

func TestCertificateIsAuthorizedBeforeThePrivateKeyIsUsed(t *testing.T) {
	server, client := pair(2048)
	sc, cc := link(t, transport.Limits{}, transport.Limits{})
	cfg := serverConfig(Identity{Certificate: server.Certificate}) // using the key would fail otherwise
	asked := 0
	cfg.Authorize = func(_ context.Context, p Peer) error {
		asked++
		if !bytes.Equal(p.Chain[0].Raw, client.Certificate) {
			t.Errorf("asked about another certificate")
		}
		return &refusal{ua.StatusBadCertificateUntrusted}
	}
	log := new(bytes.Buffer)
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	ended := echo(t, cfg, sc)
	_, err := Open(t.Context(), cc, clientConfig(everySecurity[2], client, server))
	var e *transport.Error
	if !errors.As(err, &e) || e.Code != ua.StatusBadSecurityChecksFailed || e.Reason != "" {
		t.Errorf("the client learns %v, want Bad_SecurityChecksFailed alone", err)
	}
	if err := <-ended; !errors.Is(err, ua.StatusBadCertificateUntrusted) || asked != 1 {
		t.Errorf("got %v, asked %d times", err, asked)
	}
	if !bytes.Contains(log.Bytes(), []byte("not on the list")) {
		t.Errorf("the log does not say why: %s", log)
	}
}

type refusal struct{ code ua.StatusCode }

func (r *refusal) Error() string { return "not on the list" }
func (r *refusal) Unwrap() error { return r.code }

func TestServerRefusesToOpen(t *testing.T) {
	server, client := pair(2048)
	sign := everySecurity[1]
	offered := serverConfig(server)
	offered.Security = []Security{everySecurity[0], everySecurity[2]}
	request := func(change func(*openRequest)) openRequest {
		r := openRequest{mode: ua.MessageSecurityModeSignAndEncrypt, nonce: Nonce(), lifetime: time.Hour}
		change(&r)
		return r
	}
	head := openHeader{policy: ua.SecurityPolicyURIBasic256Sha256, certificate: client.Certificate,
		thumbprint: Thumbprint(server.Certificate)}
	for name, c := range map[string]struct {
		head openHeader
		req  openRequest
		want ua.StatusCode
	}{
		"policy of another offer": {openHeader{policy: ua.SecurityPolicyURIAes256Sha256RsaPss}, openRequest{},
			ua.StatusBadSecurityPolicyRejected},
		"deprecated Basic128Rsa15": {openHeader{policy: ua.SecurityPolicyURIBasic128Rsa15}, openRequest{},
			ua.StatusBadSecurityPolicyRejected},
		"deprecated Basic256": {openHeader{policy: ua.SecurityPolicyURIBasic256}, openRequest{},
			ua.StatusBadSecurityPolicyRejected},
		"invented policy": {openHeader{policy: "none"}, openRequest{}, ua.StatusBadSecurityPolicyRejected},
		"no certificate": {openHeader{policy: head.policy, thumbprint: head.thumbprint}, openRequest{},
			ua.StatusBadSecurityChecksFailed},
		"broken certificate": {openHeader{policy: head.policy, certificate: []byte{0x30, 0x80},
			thumbprint: head.thumbprint}, openRequest{}, ua.StatusBadSecurityChecksFailed},
		"another server's": {openHeader{policy: head.policy, certificate: client.Certificate,
			thumbprint: make([]byte, 20)}, openRequest{}, ua.StatusBadSecurityChecksFailed},
		"resumed from elsewhere": {openHeader{policy: head.policy, channel: 7}, openRequest{},
			ua.StatusBadTCPSecureChannelUnknown},
		"mode not offered": {head, request(func(r *openRequest) { r.mode = sign.Mode }),
			ua.StatusBadSecurityModeRejected},
		"downgrade to mode None": {head, request(func(r *openRequest) { r.mode = ua.MessageSecurityModeNone }),
			ua.StatusBadSecurityModeRejected},
		"invented mode": {head, request(func(r *openRequest) { r.mode = 77 }),
			ua.StatusBadSecurityModeRejected},
		"None claims a secured mode": {openHeader{policy: ua.SecurityPolicyURINone}, request(func(*openRequest) {}),
			ua.StatusBadSecurityModeRejected},
		"short nonce": {head, request(func(r *openRequest) { r.nonce = r.nonce[:31] }),
			ua.StatusBadNonceInvalid},
		"no nonce": {head, request(func(r *openRequest) { r.nonce = nil }), ua.StatusBadNonceInvalid},
		"renewal of nothing": {head, request(func(r *openRequest) { r.renew = true }),
			ua.StatusBadTCPSecureChannelUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			sc, cc := link(t, transport.Limits{}, transport.Limits{})
			ended := echo(t, offered, sc)
			p, ok := policyOf(c.head.policy)
			if !ok {
				p, _ = policyOf(ua.SecurityPolicyURINone)
			}
			a := &asymmetric{policy: policy{uri: p.uri}}
			if c.req.lifetime != 0 {
				var err error
				if a, err = newAsymmetric(p, client.Key, &server.Key.PublicKey); err != nil {
					t.Fatal(err)
				}
			}
			b, err := a.sealOpen(c.head, secured{1, 1, c.req.encode(time.Now())})
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = cc.WriteChunk(b) }()
			if got := lastWords(t, cc); got.Code != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			<-ended
		})
	}
	t.Run("message before the channel", func(t *testing.T) {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		echo(t, offered, sc)
		go func() {
			_ = cc.WriteChunk(append(transport.Header{Type: transport.ServiceMessage, Chunk: 'F', Size: 24}.Append(nil),
				make([]byte, 16)...))
		}()
		if got := lastWords(t, cc); got.Code != ua.StatusBadTCPSecureChannelUnknown {
			t.Errorf("got %v", got)
		}
	})
}

func TestSilenceAfterTheHelloEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sc, cc := link(t, transport.Limits{}, transport.Limits{})
		ended := echo(t, serverConfig(Identity{}), sc)
		if got := lastWords(t, cc); got.Code != ua.StatusBadTimeout {
			t.Errorf("got %v, want Bad_Timeout", got)
		}
		<-ended
	})
}
