package server

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/transport"
)

// knock tries to open a secured channel with any certificate.
func knock(ctx context.Context, url string, id channel.Identity, server []byte) error {
	conn, err := (&transport.Dialer{}).Dial(ctx, url)
	if err != nil {
		return err
	}
	c, err := channel.Open(ctx, conn, channel.ClientConfig{
		Security: secured[1], Identity: id, ServerCertificate: server,
		Authorize: func(context.Context, channel.Peer) error { return nil },
	})
	if err == nil {
		err = c.Close()
	}
	return err
}

// Operations with the private key are slow: clients that cause them must not delay others.
func TestAFloodOfHandshakesDoesNotDelayOthers(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
	certificate, key := person(t, "stranger")
	for name, id := range map[string]channel.Identity{
		"strangers":             {Certificate: certificate.Raw, Key: key},
		"trusted, and hostile":  {Certificate: theirs.Own().Chain, Key: theirs.Own().Key},
		"with a key of another": {Certificate: theirs.Own().Chain, Key: key},
	} {
		t.Run(name, func(t *testing.T) {
			good := enter(t, url, theirs, ours.Own().Chain)
			good.create(t)
			if code := good.activate(t, good.activation(t, good.token, good.nonce, anonymous)); code != ua.StatusOK {
				t.Fatal(code)
			}
			ctx, stop := context.WithCancel(t.Context())
			var tried atomic.Int64
			var flood sync.WaitGroup
			for range 2 {
				flood.Go(func() {
					for ctx.Err() == nil {
						_ = knock(ctx, url, id, ours.Own().Chain)
						tried.Add(1)
					}
				})
			}
			await.True(t, "the flood flows", func() bool { return tried.Load() > 4 })
			for range 3 {
				answered(t, good.Client, good.token)
			}
			stop()
			flood.Wait()
		})
	}
}

// issued makes a certificate with any key.
func issued(t *testing.T, key any, public any) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Certificates and chains that others have died from.
func TestMalformedCertificatesAreRefused(t *testing.T) {
	s, url, theirs := pair(t, nil)
	ours := s.cfg.Store
	good, key := theirs.Own().Chain, theirs.Own().Key
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	joe, err := connect(t, url, secured[1], theirs, client.User{})
	if err != nil {
		t.Fatal(err)
	}
	for name, chain := range map[string][]byte{
		"none":                     {},
		"one byte":                 {0x30},
		"a length that lies":       append([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, good[4:]...),
		"without a length":         append([]byte{0x30, 0x80}, good[4:]...),
		"nesting without end":      bytes.Repeat([]byte{0x30, 0x80}, 10_000),
		"zeros":                    make([]byte, 20_000),
		"cut short":                good[:len(good)-1],
		"with garbage behind":      append(bytes.Clone(good), 0xff, 0xff),
		"followed by half another": append(bytes.Clone(good), good[:len(good)/2]...),
		"nine of them":             bytes.Repeat(good, 9),
		"larger than may be":       bytes.Repeat(good, 30),
		"with a flipped bit":       append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"of an elliptic curve":     issued(t, curve, &curve.PublicKey),
		"of a weak key":            issued(t, weak, &weak.PublicKey),
	} {
		t.Run(name, func(t *testing.T) {
			if err := knock(t.Context(), url, channel.Identity{Certificate: chain, Key: key},
				ours.Own().Chain); err == nil {
				t.Error("the channel was opened")
			}
		})
	}
	if joe.Err() != nil {
		t.Errorf("another client's session ended: %v", joe.Err())
	}
	if err := knock(t.Context(), url, channel.Identity{Certificate: good, Key: key}, ours.Own().Chain); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

// Publish requests wait long: each beyond what may wait pushes the oldest out.
func TestAFloodOfPublishRequestsIsBounded(t *testing.T) {
	s, url := start(t, nil)
	other, mine := newSession(t, url)
	c, token := newSession(t, url)
	if _, code := ask(t, c,
		&ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 60_000,
			RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 100}); code != ua.StatusOK {
		t.Fatal(code)
	}
	body, err := channel.Encode(
		&ua.PublishRequest{RequestHeader: header(token),
			SubscriptionAcknowledgements: make([]*ua.SubscriptionAcknowledgement, 0)})
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	const flood = 20_000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for n := range uint32(flood) {
			if c.Channel.Send(10_000+n, body) != nil { // who asks does not wait for the answers
				return
			}
		}
	}()
	for range 10 {
		answered(t, other, mine)
	}
	<-sent
	await.True(t, "all of them are taken, or the connection ended",
		func() bool { return c.Err() != nil || s.Stats().Requests > flood })
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("%d MB are held, want at most 64", grown>>20)
	}
	answered(t, other, mine)
}

// browsed returns the code and the continuation point of each node of a request.
func browsed(t *testing.T, resp any) (codes []ua.StatusCode, points [][]byte) {
	t.Helper()
	var results []*ua.BrowseResult
	switch r := resp.(type) {
	case *ua.BrowseResponse:
		results = r.Results
	case *ua.BrowseNextResponse:
		results = r.Results
	default:
		t.Fatalf("got %T, want a response", resp)
	}
	for _, r := range results {
		codes, points = append(codes, r.StatusCode), append(points, r.ContinuationPoint)
	}
	return codes, points
}

// Browses that are not continued cost later ones nothing: their points are released (OPC 10000-4 §7.9).
func TestContinuationPointsAreBounded(t *testing.T) {
	s, url := start(t, nil)
	c, token := newSession(t, url)
	most := s.cfg.Limits.ContinuationPoints
	next := func(points ...[]byte) ([]ua.StatusCode, [][]byte) {
		resp, _ := ask(t, c, &ua.BrowseNextRequest{RequestHeader: header(token), ContinuationPoints: points})
		return browsed(t, resp)
	}
	var held [][]byte
	for n := range 500 {
		resp, _ := ask(t, c, browseRequest(token, 1, description(named("plant"), 0)))
		codes, points := browsed(t, resp)
		if held = append(held, points[0]); codes[0] != ua.StatusOK {
			t.Fatalf("browse %d: got %v, want Good", n, codes[0])
		}
	}
	if codes, _ := next(held[0], held[len(held)-1-most]); codes[0] != ua.StatusBadContinuationPointInvalid ||
		codes[1] != ua.StatusBadContinuationPointInvalid {
		t.Errorf("the oldest: got %v, want Bad_ContinuationPointInvalid", codes)
	}
	held = held[len(held)-most:]
	for len(held) > 0 {
		codes, points := next(held[:min(len(held), 10)]...)
		for i, code := range codes {
			if code != ua.StatusOK {
				t.Fatalf("point %d of the newest: got %v, want Good", i, code)
			}
		}
		if held = held[len(codes):]; len(held) == 0 {
			if codes, _ = next(points...); codes[0] != ua.StatusOK {
				t.Errorf("a point of BrowseNext: got %v, want Good", codes[0])
			}
		}
	}
	var many []*ua.BrowseDescription
	for range most + 1 {
		many = append(many, description(named("plant"), 0))
	}
	resp, _ := ask(t, c, browseRequest(token, 1, many...))
	codes, _ := browsed(t, resp)
	if codes[most-1] != ua.StatusOK || codes[most] != ua.StatusBadNoContinuationPoints {
		t.Errorf("more nodes in one request than points: got %v and %v, want Good and Bad_NoContinuationPoints",
			codes[most-1], codes[most])
	}
}
