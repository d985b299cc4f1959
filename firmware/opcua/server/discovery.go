package server

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

const profileTCP = "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"

func (s *Server) application(asked string) *ua.ApplicationDescription {
	return &ua.ApplicationDescription{
		ApplicationURI: s.cfg.ApplicationURI, ProductURI: s.cfg.ProductURI,
		ApplicationName: ua.NewLocalizedText(s.cfg.ApplicationName),
		ApplicationType: ua.ApplicationTypeServer, DiscoveryURLs: []string{s.endpointURL(asked)},
	}
}

// endpoints lists what sessions may use, for a client that uses this URL.
func (s *Server) endpoints(asked string, profiles []string) []*ua.EndpointDescription {
	list := []*ua.EndpointDescription{}
	if len(profiles) > 0 && !slices.Contains(profiles, profileTCP) {
		return list
	}
	certificate := s.identity().Certificate
	for _, o := range s.cfg.Security {
		list = append(list, &ua.EndpointDescription{
			EndpointURL: s.endpointURL(asked), Server: s.application(asked), ServerCertificate: certificate,
			SecurityMode:      o.Mode,
			SecurityPolicyURI: o.Policy, UserIdentityTokens: s.tokens(o), TransportProfileURI: profileTCP,
			SecurityLevel: securityLevel(o),
		})
	}
	return list
}

// securityLevel ranks endpoints for clients that choose by it.
func securityLevel(o channel.Security) uint8 {
	order := []string{ua.SecurityPolicyURINone, ua.SecurityPolicyURIAes128Sha256RsaOaep,
		ua.SecurityPolicyURIBasic256Sha256, ua.SecurityPolicyURIAes256Sha256RsaPss}
	return uint8(10*slices.Index(order, o.Policy)) + uint8(o.Mode)
}

func (q *query) getEndpoints(req *ua.GetEndpointsRequest) {
	q.reply(&ua.GetEndpointsResponse{ResponseHeader: q.header(),
		Endpoints: q.server.endpoints(req.EndpointURL, req.ProfileURIs)})
}

func (q *query) findServers(req *ua.FindServersRequest) {
	resp := &ua.FindServersResponse{ResponseHeader: q.header(), Servers: []*ua.ApplicationDescription{}}
	if len(req.ServerURIs) == 0 || slices.Contains(req.ServerURIs, q.server.cfg.ApplicationURI) {
		resp.Servers = append(resp.Servers, q.server.application(req.EndpointURL))
	}
	q.reply(resp)
}

// endpointURL returns the server's URL; on a wildcard address with the host that the client
// used.
func (s *Server) endpointURL(asked string) string {
	u := *s.url
	if a, err := netip.ParseAddr(strings.Trim(u.Hostname(), "[]")); u.Hostname() == "" || err == nil &&
		a.IsUnspecified() {
		if c, err := url.Parse(asked); err == nil && c.Hostname() != "" && len(c.Hostname()) <= 253 {
			u.Host = net.JoinHostPort(c.Hostname(), s.port())
		}
	} else if u.Port() == "0" {
		u.Host = net.JoinHostPort(u.Hostname(), s.port())
	}
	return u.String()
}

func (s *Server) port() string {
	if a, ok := s.Addr().(*net.TCPAddr); ok {
		return fmt.Sprint(a.Port)
	}
	return s.url.Port()
}
