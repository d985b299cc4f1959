// Package probe asks the servers and brokers of a plant what a first configuration has to
// know: endpoints, certificates, whether a login is taken, and how much there is to mirror.
//
// It refuses to change or to keep anything there: it reads, within bounds of time and nodes,
// and ends its session. Its certificate is made for the occasion; heliotx's own is another
// one. What servers say is cut and made printable before it is shown.
package probe

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/text"
	"heliograph/tools/initial"
)

// Our own bounds of what a server says.
const (
	timeout      = 10 * time.Second // of one request
	maxEndpoints = 64
	maxTokens    = 16
	maxText      = 100 // runes
)

// Endpoint is a way into an OPC UA server.
type Endpoint struct {
	Security string   `json:"security"` // POLICY/MODE, or None
	Users    []string `json:"users"`    // how a user may log in
	Usable   bool     `json:"usable"`   // heliotx can use the policy
}

// Certificate is what a server shows of itself.
type Certificate struct {
	Thumbprint string    `json:"thumbprint"`
	Subject    string    `json:"subject"`
	Until      time.Time `json:"until"`
	Faults     []string  `json:"faults,omitempty"`   // what trust alone does not overlook
	Tolerate   []string  `json:"tolerate,omitempty"` // and the words of tolerate that do
	DER        []byte    `json:"-"`

	leaf *x509.Certificate
}

// Server is what an OPC UA server says before a login.
type Server struct {
	Name        string       `json:"name"`
	Application string       `json:"application_uri"`
	Endpoints   []Endpoint   `json:"endpoints"`             // the strongest first
	Certificate *Certificate `json:"certificate,omitempty"` // nil: it has none
}

// Endpoints asks a server for its endpoints.
func Endpoints(ctx context.Context, endpoint string) (s Server, err error) {
	list, err := client.FindEndpoints(ctx, client.Config{Endpoint: endpoint, Timeout: timeout})
	if err != nil {
		return s, unreachable(endpoint, "OPC UA server", err)
	}
	for _, e := range list[:min(len(list), maxEndpoints)] {
		if e == nil || e.Server == nil || !strings.HasPrefix(e.EndpointURL, "opc.tcp:") {
			continue
		}
		s.Application = printable(e.Server.ApplicationURI)
		if e.Server.ApplicationName != nil {
			s.Name = printable(e.Server.ApplicationName.Text)
		}
		if s.Certificate == nil {
			s.Certificate = certificateOf(e.ServerCertificate)
		}
		s.add(e)
	}
	if len(s.Endpoints) == 0 {
		return s, fmt.Errorf("%s has no endpoint for opc.tcp: enable one at the server", endpoint)
	}
	slices.SortStableFunc(s.Endpoints, func(a, b Endpoint) int { return cmp.Compare(rank(a), rank(b)) })
	return s, nil
}

// add adds an endpoint, or what another one of the same security takes.
func (s *Server) add(e *ua.EndpointDescription) {
	name := securityName(e)
	i := slices.IndexFunc(s.Endpoints, func(o Endpoint) bool { return o.Security == name })
	if i < 0 {
		i = len(s.Endpoints)
		s.Endpoints = append(s.Endpoints, Endpoint{Security: name, Usable: slices.Contains(initial.Securities(), name)})
	}
	for _, t := range e.UserIdentityTokens[:min(len(e.UserIdentityTokens), maxTokens)] {
		if t == nil {
			continue
		}
		if word := tokenName(t.TokenType); !slices.Contains(s.Endpoints[i].Users, word) {
			s.Endpoints[i].Users = append(s.Endpoints[i].Users, word)
		}
	}
}

func securityName(e *ua.EndpointDescription) string {
	policy := printable(strings.TrimPrefix(e.SecurityPolicyURI, ua.SecurityPolicyURIPrefix))
	if policy == "None" {
		return policy
	}
	return policy + "/" + strings.TrimPrefix(e.SecurityMode.String(), "MessageSecurityMode")
}

func tokenName(t ua.UserTokenType) string {
	switch t {
	case ua.UserTokenTypeAnonymous:
		return "anonymous"
	case ua.UserTokenTypeUserName:
		return "name and password"
	case ua.UserTokenTypeCertificate:
		return "certificate"
	}
	return "issued token"
}

// rank orders endpoints: what heliotx can use before the rest, None last.
func rank(e Endpoint) int {
	i := slices.Index(initial.Securities(), e.Security)
	switch {
	case i < 0:
		return len(initial.Securities())
	case e.Security == "None":
		return len(initial.Securities()) + 1
	}
	return i
}

// Strongest returns the best security that heliotx can use, "" for none.
func (s Server) Strongest() string {
	for _, e := range s.Endpoints {
		if e.Usable {
			return e.Security
		}
	}
	return ""
}

// certificateOf reads a server's certificate; nil if it has none that can be read.
func certificateOf(raw []byte) *Certificate {
	chain, err := channel.ParseChain(raw)
	if err != nil || len(chain) == 0 {
		return nil
	}
	c := chain[0]
	return &Certificate{Thumbprint: pki.Thumbprint(c.Raw), Subject: printable(c.Subject.String()), Until: c.NotAfter,
		DER: c.Raw, leaf: c}
}

// printable returns text that disturbs no terminal.
func printable(s string) string {
	runes := []rune(strings.ToValidUTF8(s, "?"))
	end := ""
	if len(runes) > maxText {
		runes, end = runes[:maxText], "…"
	}
	return text.Printable(string(runes)) + end
}

// Login is how to log in at a server.
type Login struct{ URL, Security, Name, Password string }

// Connect logs in at a server, trusting its certificate for this once. The function that
// it returns ends the session and removes what was made for it.
func Connect(ctx context.Context, l Login, s *Server) (*client.Session, func(), error) {
	policy, mode, _ := strings.Cut(l.Security, "/")
	cfg := client.Config{Endpoint: l.URL, Policy: policy, Mode: ua.MessageSecurityModeFromString(mode),
		ApplicationName: "heliograph init", SessionName: "heliograph init", Timeout: timeout,
		User:     client.User{Name: l.Name, Password: l.Password, ClearPassword: policy == "None"},
		Tolerate: pki.Tolerance{HostName: true, Dates: true}}
	remove := func() {}
	if policy != "None" {
		dir, err := os.MkdirTemp("", "heliograph-init-")
		if err != nil {
			return nil, nil, err
		}
		remove = func() { _ = os.RemoveAll(dir) }
		if cfg.Store, err = storeIn(dir, l.URL, s); err != nil {
			remove()
			return nil, nil, err
		}
	}
	session, err := client.Connect(ctx, cfg)
	if err != nil {
		remove()
		return nil, nil, err
	}
	return session, func() { session.Close(); remove() }, nil
}

// storeIn makes a store that trusts the server, and notes what trust alone does not overlook.
func storeIn(dir, endpoint string, s *Server) (*pki.Store, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	app := identity.Application("tx", "init")
	store, err := pki.Open(pki.Config{Directory: dir, Application: app, Log: slog.New(slog.DiscardHandler)})
	if err != nil || s.Certificate == nil {
		return store, err
	}
	if _, err := store.TrustCertificate(s.Certificate.leaf, false); err != nil {
		return nil, err
	}
	store.Reload()
	chain := []*x509.Certificate{s.Certificate.leaf}
	everything := pki.Tolerance{HostName: true, Dates: true}
	s.Certificate.Faults, s.Certificate.Tolerate = nil, nil
	for _, o := range store.Overlooked(chain, pki.Purpose{Server: true, ApplicationURI: s.Application,
		Host: u.Hostname(), Tolerate: everything}) {
		word := "dates"
		if o.Code == ua.StatusBadCertificateHostNameInvalid {
			word = "host_name"
		}
		s.Certificate.Faults = append(s.Certificate.Faults, printable(o.Fact))
		s.Certificate.Tolerate = append(s.Certificate.Tolerate, word)
	}
	return store, nil
}
