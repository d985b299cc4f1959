package channel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
	"github.com/gopcua/opcua/uacp"
	"github.com/gopcua/opcua/uasc"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/transport"
)

// discovery serves GetEndpoints, and a fault for the rest, to any client that opens a
// channel; it sends what each channel ended with.
func discovery(t *testing.T, own Identity, change func(*ServerConfig)) (url string, ended <-chan error) {
	t.Helper()
	l, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.ListenConfig{
		Timeouts: transport.Timeouts{Handshake: time.Hour, Chunk: time.Hour, Write: time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg := serverConfig(own)
	cfg.MinLifetime, cfg.OpenTimeout = time.Second, time.Hour
	if change != nil {
		change(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	url = "opc.tcp://" + l.Addr().String()
	done := make(chan error, 16)
	go func() {
		for {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				c, err := s.Open(context.Background(), conn)
				for err == nil {
					err = answerOne(c, url)
				}
				done <- err
			}()
		}
	}()
	return url, done
}

func answerOne(c *Channel, url string) error {
	m, err := c.Receive()
	if err != nil {
		return err
	}
	head, _, err := PeekRequest(m.Body)
	if err != nil {
		return err
	}
	body := Fault(head.Handle, ua.StatusBadServiceUnsupported, time.Now())
	if head.TypeID == id.GetEndpointsRequest_Encoding_DefaultBinary {
		body, err = Encode(&ua.GetEndpointsResponse{
			ResponseHeader: &ua.ResponseHeader{
				Timestamp: time.Now(), RequestHandle: head.Handle, ServiceDiagnostics: &ua.DiagnosticInfo{},
				StringTable: []string{}, AdditionalHeader: ua.NewExtensionObject(nil),
			},
			Endpoints: []*ua.EndpointDescription{{
				EndpointURL: url, Server: &ua.ApplicationDescription{ApplicationURI: "urn:test",
					ApplicationName: ua.NewLocalizedText("test")},
				ServerCertificate: c.Identity().Certificate, SecurityMode: c.Peer().Mode,
				SecurityPolicyURI: c.Peer().Policy,
			}},
		})
		if err != nil {
			return err
		}
	}
	return c.Send(m.RequestID, body)
}

func getEndpoints(t *testing.T, url string) []byte {
	t.Helper()
	body, err := Encode(&ua.GetEndpointsRequest{
		RequestHeader: &ua.RequestHeader{
			AuthenticationToken: ua.NewTwoByteNodeID(0), Timestamp: time.Now(), RequestHandle: 1,
			AdditionalHeader: ua.NewExtensionObject(nil),
		},
		EndpointURL: url,
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestLibrarysClientOpensEveryPolicyAndMode(t *testing.T) {
	server, client := pair(2048)
	url, _ := discovery(t, server, nil)
	for _, s := range everySecurity {
		t.Run(name(s), func(t *testing.T) {
			ctx := await.Context(t)
			conn, err := uacp.Dial(ctx, url)
			if err != nil {
				t.Fatal(err)
			}
			cfg := &uasc.Config{SecurityPolicyURI: s.Policy, SecurityMode: s.Mode, Lifetime: 60000,
				RequestTimeout: await.Bound}
			if s.Mode != ua.MessageSecurityModeNone {
				cfg.Certificate, cfg.LocalKey = client.Certificate, client.Key
				cfg.RemoteCertificate, cfg.Thumbprint = server.Certificate, Thumbprint(server.Certificate)
			}
			c, err := uasc.NewSecureChannel(url, conn, cfg, make(chan error, 8))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Open(ctx); err != nil {
				t.Fatal(err)
			}
			err = c.SendRequest(ctx, &ua.GetEndpointsRequest{EndpointURL: url}, nil, func(r ua.Response) error {
				got, ok := r.(*ua.GetEndpointsResponse)
				if !ok || len(got.Endpoints) != 1 || got.Endpoints[0].SecurityPolicyURI != s.Policy {
					return fmt.Errorf("got %+v", r)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func nodeOPCUA(t *testing.T) {
	t.Helper()
	if err := exec.Command("node", "-e", "require.resolve('node-opcua')").Run(); err != nil {
		t.Skip("not proved: interoperation with node-opcua, which node does not find (npm install node-opcua, and " +
			"NODE_PATH)")
	}
}

func script(t *testing.T, name string) string {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name) // NODE_PATH, not a folder above, finds the package
	if err := os.WriteFile(path, src, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNodeOPCUAClientOpensAndRenews(t *testing.T) {
	nodeOPCUA(t)
	server := namedIdentity(t, 2048)
	url, _ := discovery(t, server, nil)
	folder, path := t.TempDir(), script(t, "client.js")
	der := filepath.Join(folder, "server.der")
	if err := os.WriteFile(der, server.Certificate, 0o644); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, s := range everySecurity {
		list = append(list, name(s))
	}
	inTime(t, func(lifetime time.Duration) (err error) {
		cmd := exec.CommandContext(await.Context(t), "node", path, url, der, filepath.Join(folder, "pki"),
			fmt.Sprint((2 * lifetime).Seconds()), strings.Join(list, ","))
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("%w: %s", err, errs.String())
		}
		var results map[string]struct {
			Answers, Renewals int
			Error             string
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &results); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for _, s := range list {
			if got := results[s]; got.Error != "" || got.Renewals == 0 || got.Answers < 3 {
				err = errors.Join(err, fmt.Errorf("%s: got %+v, want a renewal and at least 3 answers", s, got))
			}
		}
		return err
	})
}

// inTime calls f with a token's lifetime, and again with twice that where f fails: on a busy
// machine a peer needs longer to renew a token than a short lifetime leaves it.
func inTime(t *testing.T, f func(lifetime time.Duration) error) {
	t.Helper()
	for lifetime := 2 * time.Second; ; lifetime *= 2 {
		err := f(lifetime)
		if err == nil {
			return
		}
		if lifetime > await.Bound/8 {
			t.Fatalf("with tokens of %v: %v", lifetime, err)
		}
		t.Logf("with tokens of %v: %v", lifetime, err)
	}
}

func TestWeOpenAndRenewAtANodeOPCUAServer(t *testing.T) {
	nodeOPCUA(t)
	client := namedIdentity(t, 2048)
	cmd := exec.Command("node", script(t, "server.js"), filepath.Join(t.TempDir(), "pki"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	var peer struct {
		Port        int
		Certificate []byte
	}
	for lines := bufio.NewScanner(out); peer.Port == 0 && lines.Scan(); {
		_ = json.Unmarshal(lines.Bytes(), &peer)
	}
	if peer.Port == 0 {
		t.Fatal("the server did not start")
	}
	go func() { _, _ = bufio.NewReader(out).WriteTo(&strings.Builder{}) }()
	url := fmt.Sprintf("opc.tcp://127.0.0.1:%d", peer.Port)
	inTime(t, func(lifetime time.Duration) error {
		errs := make([]error, len(everySecurity))
		var work sync.WaitGroup
		for i, s := range everySecurity {
			work.Go(func() {
				if err := renewAt(t, url, s, client, Identity{Certificate: peer.Certificate}, lifetime); err != nil {
					errs[i] = fmt.Errorf("%s: %w", name(s), err)
				}
			})
		}
		work.Wait()
		return errors.Join(errs...)
	})
}

// renewAt asks a server for its endpoints until its token has been renewed twice.
func renewAt(t *testing.T, url string, s Security, own, server Identity, lifetime time.Duration) error {
	conn, err := new(transport.Dialer).Dial(t.Context(), url)
	if err != nil {
		return err
	}
	cfg := clientConfig(s, own, server)
	cfg.Lifetime = lifetime
	c, err := Open(t.Context(), conn, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx := await.Context(t)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	seen := map[uint32]bool{}
	for ; len(seen) < 3; <-tick.C {
		body, err := c.Do(ctx, getEndpoints(t, url))
		if err != nil {
			return fmt.Errorf("after %d tokens: %w", len(seen), err)
		}
		if head, _, err := PeekResponse(body); err != nil ||
			head.TypeID != id.GetEndpointsResponse_Encoding_DefaultBinary {
			return fmt.Errorf("got %+v, %w; want the endpoints", head, err)
		}
		seen[c.tokens.newest().id] = true
	}
	return nil
}
