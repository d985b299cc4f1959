package server

import (
	"cmp"
	"encoding/hex"
	"net/netip"
	"strings"
	"time"
)

// Client is an activated session whose connection is up, as an operator sees it.
type Client struct {
	Address     netip.Addr
	User        string // "anonymous", a name, or that of a certificate
	Application string // as the client calls itself, by its name or else its URI
	Since       time.Time
}

// Clients returns the clients, in no order.
func (s *Server) Clients() (list []Client) {
	ss := &s.sessions
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, o := range ss.byToken {
		if o.active && !o.disconnected {
			list = append(list, Client{o.address, o.user(), cmp.Or(o.info.client.ApplicationName.Text,
				o.info.client.ApplicationURI, o.info.name), o.created})
		}
	}
	return list
}

// user is who logged in, for an operator. The lock of sessions is held.
func (s *session) user() string {
	kind, name, _ := strings.Cut(s.client.User, ":")
	switch {
	case kind == policyAnonymous:
		return kind
	case kind != policyCertificate:
		return name
	case len(s.userChain) > 0 && s.userChain[0].Subject.CommonName != "":
		return clientText(s.userChain[0].Subject.CommonName)
	}
	return "certificate " + hex.EncodeToString([]byte(name))
}
