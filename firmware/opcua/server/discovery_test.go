package server

import (
	"net"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

func TestEndpointsNameTheHostThatTheClientUsed(t *testing.T) {
	s, _ := start(t, func(c *Config) { c.Listen = "opc.tcp://0.0.0.0:0" })
	port := s.port()
	for asked, want := range map[string]string{
		"opc.tcp://mirror.example:1/y": "opc.tcp://mirror.example:" + port,
		"opc.tcp://[::1]:4840":         "opc.tcp://[::1]:" + port,
		"":                             "opc.tcp://0.0.0.0:0",
	} {
		if got := s.endpoints(asked, nil)[0].EndpointURL; got != want {
			t.Errorf("a client that asked %q gets %q, want %q", asked, got, want)
		}
	}
	if got := s.endpoints("opc.tcp://x", []string{"http://example/other-profile"}); len(got) != 0 {
		t.Errorf("%d endpoints of another profile", len(got))
	}
}

// A small question without a session never has an answer large enough to be
// useful for reflection attacks.
func TestDiscoveryHardlyAmplifies(t *testing.T) {
	// which answers with the name that was asked for
	s, _, _ := pair(t, func(c *Config) { c.Listen = "opc.tcp://0.0.0.0:0" })
	_, port, _ := net.SplitHostPort(s.Addr().String())
	url := "opc.tcp://127.0.0.1:" + port
	for name, c := range map[string]struct {
		req  any
		most int // bytes
	}{
		"GetEndpoints": {&ua.GetEndpointsRequest{RequestHeader: header(nil), EndpointURL: url}, 16 << 10},
		"GetEndpoints, long URL": {&ua.GetEndpointsRequest{RequestHeader: header(nil),
			EndpointURL: "opc.tcp://" + strings.Repeat("x", 50_000) + ":4840"}, 64 << 10},
		"FindServers": {&ua.FindServersRequest{RequestHeader: header(nil), EndpointURL: url}, 4 << 10},
		"FindServers, long URL": {&ua.FindServersRequest{RequestHeader: header(nil),
			EndpointURL: "opc.tcp://" + strings.Repeat("x", 50_000) + ":4840"}, 64 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := channel.Encode(c.req)
			if err != nil {
				t.Fatal(err)
			}
			got, err := open(t, url).Do(t.Context(), body)
			if err == nil && len(got) > c.most {
				t.Errorf("%d bytes are answered with %d, want at most %d", len(body), len(got), c.most)
			}
		})
	}
}

func TestPolicyNoneServesDiscoveryAlone(t *testing.T) {
	_, url, _ := pair(t, nil)
	c := open(t, url)
	resp, code := ask(t, c,
		&ua.GetEndpointsRequest{RequestHeader: header(nil), EndpointURL: "opc.tcp://mirror.example:4840/x"})
	if code != ua.StatusOK || len(resp.(*ua.GetEndpointsResponse).Endpoints) != len(secured) {
		t.Errorf("GetEndpoints: %v %v, want %d endpoints", code, resp, len(secured))
	}
	if _, code := create(t, c); code != ua.StatusBadSecurityPolicyRejected {
		t.Errorf("CreateSession: %v, want Bad_SecurityPolicyRejected", code)
	}
}
