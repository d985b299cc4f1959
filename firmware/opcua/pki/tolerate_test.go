package pki

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

func TestOnlyWhatIsTrustedItselfIsTolerated(t *testing.T) {
	k := keys()
	expired := func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }
	root := issue(t, "root", k[0], nil, asCA)
	oldRoot := issue(t, "root", k[0], nil, asCA, expired)
	signed := issue(t, "signed", k[1], &root, expired)
	self := issue(t, "self", k[2], nil, expired)
	fresh := issue(t, "fresh", k[2], nil)
	foreign := issue(t, "foreign", k[3], nil, expired)
	noURI := issue(t, "self", k[2], nil, expired, func(c *x509.Certificate) { c.URIs = nil })
	weakUse := issue(t, "self", k[2], nil, expired,
		func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })
	list := func(ca party) *x509.RevocationList {
		l, err := x509.ParseRevocationList(revoke(t, ca, now.Add(time.Hour)))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	dates, host, both := Tolerance{Dates: true}, Tolerance{HostName: true}, Tolerance{true, true}
	at := func(where string, t Tolerance) Purpose { return Purpose{Server: true, Host: where, Tolerate: t} }
	for name, c := range map[string]struct {
		trusted, issuers []*x509.Certificate
		chain            *x509.Certificate
		purpose          Purpose
		want             ua.StatusCode
	}{
		"expired": {[]*x509.Certificate{self.cert}, nil, self.cert,
			at("plant", Tolerance{}), ua.StatusBadCertificateTimeInvalid},
		"expired, tolerated": {[]*x509.Certificate{self.cert}, nil, self.cert, at("plant", dates), 0},
		"expired, another host": {[]*x509.Certificate{self.cert}, nil, self.cert, at("nat", dates),
			ua.StatusBadCertificateHostNameInvalid},
		"expired, host tolerated": {[]*x509.Certificate{self.cert}, nil, self.cert, at("nat", host),
			ua.StatusBadCertificateTimeInvalid},
		"both, tolerated":         {[]*x509.Certificate{self.cert}, nil, self.cert, at("nat", both), 0},
		"another host, tolerated": {[]*x509.Certificate{fresh.cert}, nil, fresh.cert, at("nat", host), 0},
		"not trusted": {[]*x509.Certificate{self.cert}, nil, foreign.cert, at("plant", both),
			ua.StatusBadCertificateUntrusted},
		"its CA is trusted, it is not": {[]*x509.Certificate{root.cert}, nil, signed.cert, at("plant", both),
			ua.StatusBadCertificateTimeInvalid},
		"of a CA, and trusted itself": {[]*x509.Certificate{root.cert, signed.cert}, nil, signed.cert,
			at("plant", both), 0},
		"its issuer is expired too": {[]*x509.Certificate{signed.cert}, []*x509.Certificate{oldRoot.cert},
			signed.cert, at("plant", both), 0},
		"another application is not overseen": {[]*x509.Certificate{noURI.cert}, nil, noURI.cert,
			Purpose{ApplicationURI: "urn:x", Tolerate: both}, ua.StatusBadCertificateURIInvalid},
		"its usage is not overseen": {[]*x509.Certificate{weakUse.cert}, nil, weakUse.cert, at("plant", both),
			ua.StatusBadCertificateUseNotAllowed},
	} {
		t.Run(name, func(t *testing.T) {
			s, log := newStore(t, t.TempDir())
			s.peers = roots{trusted: c.trusted, issuers: c.issuers, lists: []*x509.RevocationList{list(root)}}
			for range 3 {
				if err := s.Check([]*x509.Certificate{c.chain}, c.purpose, "10.0.0.9"); c.want == 0 && err != nil ||
					c.want != 0 && !errors.Is(err, c.want) {
					t.Fatalf("got %v, want %v", err, c.want)
				}
			}
			if n := len(s.Overlooked([]*x509.Certificate{c.chain}, c.purpose)); (n > 0) != (c.want == 0) {
				t.Errorf("got %d tolerated checks, want one or more where it is accepted", n)
			}
			st, warned := s.Stats(), strings.Count(log.String(), "despite a failed check")
			if let := c.want == 0; let != (st.Certificates == 1 && st.Checks >= 3 && warned >= 1 && warned <= 2) ||
				!let && (st != Stats{} || warned != 0) {
				t.Errorf("got %+v and %d warnings, want both once it is accepted: %v", st, warned, let)
			}
		})
	}
}

func TestOverlookedSaysWhatIsWrong(t *testing.T) {
	k := keys()
	for want, change := range map[string]func(*x509.Certificate){
		"expired 2020-01-02": func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = now.AddDate(-30, 0, 0), time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
		},
		"is not valid before 2099-01-02": func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC), now.AddDate(90, 0, 0)
		},
	} {
		c := issue(t, "self", k[2], nil, change).cert
		s, _ := newStore(t, t.TempDir())
		s.peers = roots{trusted: []*x509.Certificate{c}}
		got := s.Overlooked([]*x509.Certificate{c},
			Purpose{Server: true, Host: "nat", Tolerate: Tolerance{HostName: true, Dates: true}})
		if len(got) != 2 || got[0] != (Overlooked{ua.StatusBadCertificateTimeInvalid, want}) ||
			got[1] != (Overlooked{ua.StatusBadCertificateHostNameInvalid, "does not name host nat"}) {
			t.Errorf("got %+v, want %q and the host", got, want)
		}
	}
}

func TestObstaclesNameWhatTrustAloneDoesNotAllow(t *testing.T) {
	k := keys()
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		user   bool
		want   []string
		role   string
		not    string // must not be said
	}{
		"a client's, which may serve too": {change: func(*x509.Certificate) {}, role: "rx"},
		"a client's, expired": {change: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }, role: "rx",
			want: []string{"valid from", ": set tolerate_expired"}, not: "transmitter"},
		"a server's, expired": {change: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }, role: "tx",
			want: []string{`tolerate = ["dates"]`, "host_name"}, not: "mirror"},
		"nothing but the host": {change: func(*x509.Certificate) {},
			want: []string{"names plant, 10.0.0.5", `tolerate = ["host_name"]`}},
		"expired": {change: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) },
			want: []string{"valid from", `tolerate = ["dates"]`, "tolerate_expired", "host_name"}},
		"a user's, expired": {change: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }, user: true,
			want: []string{"another certificate"}},
		"a user's": {change: func(*x509.Certificate) {}, user: true},
		"not for encryption": {change: func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature },
			want: []string{"key usage", "cannot be tolerated"}},
		"a server's alone": {change: func(c *x509.Certificate) {
			c.ExtKeyUsage, c.DNSNames, c.IPAddresses = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, nil, nil
		}, want: []string{"names no host"}},
		"a client's alone": {change: func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := newStore(t, t.TempDir())
			p := issue(t, "self", k[2], nil, c.change)
			s.peers = roots{trusted: []*x509.Certificate{p.cert}}
			s.users = s.peers
			got := strings.Join(s.Obstacles(p.cert, c.role, c.user), "\n")
			for _, want := range c.want {
				if !strings.Contains(got, want) {
					t.Errorf("got %q, want %q in it", got, want)
				}
			}
			if c.want == nil && got != "" || c.not != "" && strings.Contains(got, c.not) {
				t.Errorf("got %q, want nothing of the other side", got)
			}
		})
	}
}
