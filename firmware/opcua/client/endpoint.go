package client

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/cause"
)

const profileTCP = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"

// FindEndpoints asks a server for its endpoints. The answer is not secured: it is
// confirmed when a session over a secured channel has returned the same.
func FindEndpoints(ctx context.Context, cfg Config) ([]*ua.EndpointDescription, error) {
	cfg = cfg.withDefaults()
	none := channel.Security{Policy: ua.SecurityPolicyURINone, Mode: ua.MessageSecurityModeNone}
	ch, err := cfg.dial(ctx, channel.ClientConfig{Security: none})
	if err != nil {
		return nil, err
	}
	defer ch.Close()
	resp, err := newLink(ch, cfg).call(ctx, getEndpoints(), &ua.GetEndpointsRequest{EndpointURL: cfg.Endpoint})
	if err != nil {
		return nil, err
	}
	return resp.(*ua.GetEndpointsResponse).Endpoints, nil
}

// Examine finds the endpoint that is asked for and validates its certificate. It opens no
// session, and so needs no certificate of our own.
func Examine(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	list, err := FindEndpoints(ctx, cfg)
	if err != nil {
		return err
	}
	found, err := cfg.choose(list)
	if err != nil || cfg.Policy == ua.SecurityPolicyURINone {
		return err
	}
	chain, err := channel.ParseChain(found.ServerCertificate)
	if err == nil {
		err = cfg.Store.Check(chain, cfg.purpose(found), hostOf(cfg.Endpoint))
	}
	return wrapError("the server's certificate", err)
}

// dial opens a channel at the configured address: the one that the server gives may not
// lead to it from here.
func (c Config) dial(ctx context.Context, cfg channel.ClientConfig) (*channel.Client, error) {
	const service = "OpenSecureChannel"
	limited, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := c.Dialer.Dial(limited, c.Endpoint)
	if err != nil {
		return nil, wrapError("connecting to "+c.Endpoint, err)
	}
	began := time.Now()
	cfg.Timeout = c.Pace.timeout(service, c.Timeout)
	ch, err := channel.Open(ctx, conn, cfg)
	if d := time.Since(began); err == nil {
		c.Pace.took(service, c.Timeout, d)
	} else if d >= cfg.Timeout {
		c.Pace.timedOut(d)
	}
	return ch, wrapError("opening the secure channel", err)
}

// choose returns the endpoint with the policy and mode that were asked for; of several
// the one that names the configured host, then the one the server holds for the best.
func (c Config) choose(list []*ua.EndpointDescription) (*ua.EndpointDescription, error) {
	list = slices.Clone(list)
	list = slices.DeleteFunc(list, func(e *ua.EndpointDescription) bool {
		return e.Server == nil || e.TransportProfileURI != "" && e.TransportProfileURI != profileTCP
	})
	var offered []string
	var best *ua.EndpointDescription
	for _, e := range list {
		offered = append(offered, securityName(e.SecurityPolicyURI, e.SecurityMode))
		if e.SecurityPolicyURI != c.Policy || e.SecurityMode != c.Mode {
			continue
		}
		ours, bests := c.sameHost(e), best != nil && c.sameHost(best)
		if best == nil || ours && !bests || ours == bests && e.SecurityLevel > best.SecurityLevel {
			best = e
		}
	}
	if best != nil {
		return best, nil
	}
	slices.Sort(offered)
	const most = 12
	offered = slices.Compact(offered)
	policy, mode := strongest(list)
	return nil, &Error{Service: "choosing an endpoint", Code: ua.StatusBadSecurityPolicyRejected,
		why: cause.Cause{Code: cause.Policy, Policy: policy, Mode: mode},
		Reason: fmt.Sprintf(
			"%s does not offer %s; it offers %s", c.Endpoint, securityName(c.Policy, c.Mode),
			strings.Join(offered[:min(most, len(offered))], ", "))}
}

// strongest returns the best security that a server offers and this client has.
func strongest(list []*ua.EndpointDescription) (policy, mode string) {
	for _, m := range []ua.MessageSecurityMode{ua.MessageSecurityModeSignAndEncrypt, ua.MessageSecurityModeSign} {
		for _, p := range []string{"Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep"} {
			if slices.ContainsFunc(list, func(e *ua.EndpointDescription) bool {
				return e.SecurityMode == m && e.SecurityPolicyURI == ua.SecurityPolicyURIPrefix+p
			}) {
				return p, strings.TrimPrefix(m.String(), "MessageSecurityMode")
			}
		}
	}
	return "None", "None"
}

func securityName(policy string, mode ua.MessageSecurityMode) string {
	name := strings.TrimPrefix(policy, ua.SecurityPolicyURIPrefix)
	return fmt.Sprintf("%.60q/%s", name, strings.TrimPrefix(mode.String(), "MessageSecurityMode"))
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

func (c Config) sameHost(e *ua.EndpointDescription) bool {
	return hostOf(e.EndpointURL) == hostOf(c.Endpoint)
}

// authorize validates the server's certificate before anything is sent to it.
func (c Config) authorize(e *ua.EndpointDescription) func(context.Context, channel.Peer) error {
	return func(_ context.Context, p channel.Peer) error {
		return c.Store.Check(p.Chain, c.purpose(e), p.Address.String())
	}
}

func (c Config) purpose(e *ua.EndpointDescription) pki.Purpose {
	return pki.Purpose{Server: true, ApplicationURI: e.Server.ApplicationURI, Host: hostOf(c.Endpoint),
		Tolerate: c.Tolerate}
}

// Overlooked returns what is wrong with the certificate of the session's server, now,
// and tolerated as configured.
func (s *Session) Overlooked() []pki.Overlooked {
	if s.endpoint == nil || s.cfg.Policy == ua.SecurityPolicyURINone || s.cfg.Tolerate == (pki.Tolerance{}) {
		return nil
	}
	chain, err := channel.ParseChain(s.endpoint.ServerCertificate)
	if err != nil { // it was parsed when the channel was opened
		return nil
	}
	return s.cfg.Store.Overlooked(chain, s.cfg.purpose(s.endpoint))
}

// confirm finds in what the session's server says of itself the endpoint that discovery
// gave (OPC 10000-4 §5.7.2): a change on the way shows here. A
// server need not repeat its certificate; the session's own answer names that.
func confirm(found *ua.EndpointDescription, list []*ua.EndpointDescription) error {
	for _, e := range list {
		if e.SecurityPolicyURI == found.SecurityPolicyURI && e.SecurityMode == found.SecurityMode &&
			e.SecurityLevel == found.SecurityLevel &&
			(len(e.ServerCertificate) == 0 || bytes.Equal(e.ServerCertificate, found.ServerCertificate)) &&
			sameTokens(e.UserIdentityTokens, found.UserIdentityTokens) {
			return nil
		}
	}
	return &Error{Service: "CreateSession", Code: ua.StatusBadSecurityChecksFailed,
		why: cause.Cause{Code: cause.EndpointsDiffer},
		Reason: "the server's endpoints differ from those that discovery returned: a man in the middle may " +
			"have changed them"}
}

func sameTokens(a, b []*ua.UserTokenPolicy) bool {
	return slices.EqualFunc(a, b, func(x, y *ua.UserTokenPolicy) bool { return *x == *y })
}
