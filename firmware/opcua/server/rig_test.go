package server

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"log/slog"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/transport"
)

func ns0(n uint32) rawvalue.NodeID { return rawvalue.NodeID{Number: n} }

func named(s string) rawvalue.NodeID {
	return rawvalue.NodeID{Namespace: 1, Kind: rawvalue.String, Text: s}
}

func dataValue(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := (&ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(v)}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// space is a folder with variables and a few types, enough to be browsed.
func space(t testing.TB, variables int) *addrspace.Space {
	t.Helper()
	s := addrspace.New()
	var changes []addrspace.Change
	add := func(node rawvalue.NodeID, class ua.NodeClass, name string, refs ...addrspace.Reference) {
		changes = append(changes,
			addrspace.Change{Kind: addrspace.Put,
				Node: addrspace.Node{ID: node, References: refs, Attributes: []addrspace.Attribute{
					{ID: ua.AttributeIDNodeID, Value: dataValue(t, node.UA())},
					{ID: ua.AttributeIDNodeClass, Value: dataValue(t, int32(class))},
					{ID: ua.AttributeIDBrowseName,
						Value: dataValue(t, &ua.QualifiedName{NamespaceIndex: node.Namespace, Name: name})},
					{ID: ua.AttributeIDDisplayName, Value: dataValue(t, ua.NewLocalizedText(name))},
				}}})
	}
	down := func(kind uint32, to ...rawvalue.NodeID) (refs []addrspace.Reference) {
		for _, n := range to {
			refs = append(refs, addrspace.Reference{Type: ns0(kind), Target: n})
		}
		return refs
	}
	var tags []rawvalue.NodeID
	for i := range variables {
		tags = append(tags, named("tag"+string(rune('a'+i%26))+string(rune('0'+i/26))))
	}
	add(ns0(id.RootFolder), ua.NodeClassObject, "Root", down(id.Organizes, ns0(id.ObjectsFolder))...)
	add(ns0(id.ObjectsFolder), ua.NodeClassObject, "Objects", down(id.Organizes, ns0(id.Server), named("plant"))...)
	add(ns0(id.Server), ua.NodeClassObject, "Server", down(id.HasComponent, ns0(id.Server_ServerStatus))...)
	add(ns0(id.Server_ServerStatus), ua.NodeClassVariable, "ServerStatus")
	add(ns0(id.Server_NamespaceArray), ua.NodeClassVariable, "NamespaceArray")
	add(ns0(id.Server_ServerArray), ua.NodeClassVariable, "ServerArray")
	add(named("plant"), ua.NodeClassObject, "Plant", down(id.HasComponent, tags...)...)
	for _, tag := range tags {
		add(tag, ua.NodeClassVariable, tag.Text,
			addrspace.Reference{Type: ns0(id.HasComponent), Target: named("plant"), Inverse: true})
	}
	add(ns0(id.HierarchicalReferences), ua.NodeClassReferenceType, "HierarchicalReferences",
		down(id.HasSubtype, ns0(id.Organizes), ns0(id.HasComponent))...)
	add(ns0(id.Organizes), ua.NodeClassReferenceType, "Organizes")
	add(ns0(id.HasComponent), ua.NodeClassReferenceType, "HasComponent")
	add(ns0(id.HasSubtype), ua.NodeClassReferenceType, "HasSubtype")
	if _, err := s.Apply(changes); err != nil {
		t.Fatal(err)
	}
	return s
}

var plain = channel.Security{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}

// start runs a server on a port of loopback. By default it serves anonymous users over
// policy None, and has timeouts that no test reaches, however busy the machine is.
func start(t testing.TB, change func(*Config)) (s *Server, url string) {
	t.Helper()
	cfg := Config{
		Listen: "opc.tcp://127.0.0.1:0", ApplicationURI: "urn:test:server", Security: []channel.Security{plain},
		Anonymous: true, Space: space(t, 40),
		Log: slog.New(slog.DiscardHandler), Refusal: "read-only",
	}
	cfg.Transport.Timeouts = transport.Timeouts{Handshake: time.Hour, Chunk: time.Hour, Write: time.Hour}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	await.True(t, "the server listens", func() bool { return s.Ready() == nil })
	return s, "opc.tcp://" + s.Addr().String()
}

// open opens a channel without security.
func open(t testing.TB, url string) *channel.Client {
	t.Helper()
	c, err := dial(t, url)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func dial(t testing.TB, url string) (*channel.Client, error) {
	t.Helper()
	conn, err := (&transport.Dialer{}).Dial(t.Context(), url)
	if err != nil {
		return nil, err
	}
	c, err := channel.Open(t.Context(), conn, channel.ClientConfig{Security: plain})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, err
}

func header(token *ua.NodeID) *ua.RequestHeader {
	if token == nil {
		token = ua.NewTwoByteNodeID(0)
	}
	return &ua.RequestHeader{AuthenticationToken: token, Timestamp: time.Now(), RequestHandle: 7,
		AdditionalHeader: ua.NewExtensionObject(nil)}
}

// ask sends a request and returns its response, or the fault's code.
func ask(t testing.TB, c *channel.Client, req any) (any, ua.StatusCode) {
	t.Helper()
	body, err := channel.Encode(req)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.Do(await.Context(t), body)
	if err != nil {
		return nil, channel.Code(err)
	}
	head, _, err := channel.PeekResponse(raw)
	if err != nil {
		t.Fatalf("%T was answered with %x: %v", req, raw, err)
	}
	if head.Handle != 7 {
		t.Errorf("%T was answered with handle %d, want 7", req, head.Handle)
	}
	resp, err := channel.Decode(raw)
	if err != nil {
		t.Fatalf("the answer to %T cannot be decoded: %v", req, err)
	}
	return resp, head.Result
}

func create(t testing.TB, c *channel.Client) (*ua.CreateSessionResponse, ua.StatusCode) {
	t.Helper()
	resp, code := ask(t, c, &ua.CreateSessionRequest{
		RequestHeader:           header(nil),
		ClientDescription:       &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("")},
		RequestedSessionTimeout: 3_600_000, SessionName: "test",
	})
	made, _ := resp.(*ua.CreateSessionResponse)
	return made, code
}

func activate(t testing.TB, c *channel.Client, token *ua.NodeID) ua.StatusCode {
	t.Helper()
	_, code := ask(t, c, &ua.ActivateSessionRequest{
		RequestHeader: header(token), ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{},
		LocaleIDs:         []string{"de"},
		UserIdentityToken: ua.NewExtensionObject(&ua.AnonymousIdentityToken{PolicyID: policyAnonymous}),
	})
	return code
}

// session opens a channel with an activated session.
func newSession(t testing.TB, url string) (*channel.Client, *ua.NodeID) {
	t.Helper()
	c := open(t, url)
	made, code := create(t, c)
	if code != ua.StatusOK {
		t.Fatalf("CreateSession: %v", code)
	}
	if code := activate(t, c, made.AuthenticationToken); code != ua.StatusOK {
		t.Fatalf("ActivateSession: %v", code)
	}
	return c, made.AuthenticationToken
}

func readRequest(token *ua.NodeID, items ...*ua.ReadValueID) *ua.ReadRequest {
	for _, it := range items {
		if it.DataEncoding == nil {
			it.DataEncoding = &ua.QualifiedName{}
		}
	}
	return &ua.ReadRequest{RequestHeader: header(token), NodesToRead: items}
}

func stateItem() *ua.ReadValueID {
	return &ua.ReadValueID{NodeID: ua.NewNumericNodeID(0, id.Server_ServerStatus), AttributeID: ua.AttributeIDValue}
}

// store makes a certificate store with a certificate of its own.
func store(t testing.TB, uri string) *pki.Store {
	t.Helper()
	s, err := pki.Open(pki.Config{Directory: t.TempDir(),
		Application: pki.Application{URI: uri, Name: uri, Hosts: []string{"127.0.0.1"}},
		Log:         slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func trust(t testing.TB, s *pki.Store, c *x509.Certificate, user bool) {
	t.Helper()
	if _, err := s.TrustCertificate(c, user); err != nil {
		t.Fatal(err)
	}
}

// person makes a user's certificate.
func person(t testing.TB, name string) (*x509.Certificate, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

var secured = []channel.Security{
	{Policy: ua.SecurityPolicyURIBasic256Sha256, Mode: ua.MessageSecurityModeSign},
	{Policy: ua.SecurityPolicyURIBasic256Sha256, Mode: ua.MessageSecurityModeSignAndEncrypt},
	{Policy: ua.SecurityPolicyURIAes128Sha256RsaOaep, Mode: ua.MessageSecurityModeSignAndEncrypt},
	{Policy: ua.SecurityPolicyURIAes256Sha256RsaPss, Mode: ua.MessageSecurityModeSignAndEncrypt},
}

// pair is a secured server and the store of a client that trusts it and is trusted.
func pair(t testing.TB, change func(*Config)) (s *Server, url string, theirs *pki.Store) {
	t.Helper()
	ours, theirs := store(t, "urn:test:server"), store(t, "urn:test:client")
	trust(t, ours, theirs.Own().Certificate, false)
	trust(t, theirs, ours.Own().Certificate, false)
	s, url = start(t, func(c *Config) {
		c.Store, c.Security, c.UserCertificates = ours, secured, true
		c.Password = func(name, password string, from netip.Addr) bool {
			return name == "joe" && password == "secret" && from.IsLoopback()
		}
		if change != nil {
			change(c)
		}
	})
	return s, url, theirs
}

func connect(t testing.TB, url string, security channel.Security, st *pki.Store, u client.User) (*client.Session,
	error) {
	t.Helper()
	c, err := client.Connect(t.Context(),
		client.Config{Endpoint: url, Policy: security.Policy, Mode: security.Mode, Store: st, User: u,
			ApplicationName: "test"})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

// number reads an unsigned number off a DataValue.
func number(dv rawvalue.DataValue) uint32 {
	if len(dv.Value.Raw) != 5 {
		return 0
	}
	return binary.LittleEndian.Uint32(dv.Value.Raw[1:])
}
