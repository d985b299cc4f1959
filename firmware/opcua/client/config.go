package client

import (
	"crypto/rsa"
	"log/slog"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/transport"
)

// Our own choices.
const (
	defaultTimeout  = 10 * time.Second
	defaultInFlight = 2 // the load on a plant's server is bounded
	sessionTimeout  = time.Minute
)

// Config says which server to connect to, and how.
type Config struct {
	Endpoint string // opc.tcp://host[:port][/path]
	Policy   string // a URI, or its last part: None, Basic256Sha256, …
	Mode     ua.MessageSecurityMode
	// Store holds our certificate and decides on the server's. It may be nil where
	// nothing is secured: policy None, and no password that is to be encrypted.
	Store *pki.Store
	// Tolerate is what may be wrong with the server's certificate if that certificate
	// itself is trusted.
	Tolerate pki.Tolerance
	User     User

	ApplicationName string
	ApplicationURI  string // of our certificate, if empty
	SessionName     string

	Timeout time.Duration // for the answer to a request, 10 s; more once one was too slow
	Pace    *Pace         // what earlier sessions have learned; nil: nothing
	// Timestamps are asked for with values; the zero value is the source's alone.
	Timestamps  ua.TimestampsToReturn
	MaxInFlight int // Read requests at a time, 2
	Dialer      transport.Dialer
	Log         *slog.Logger
}

// User is the identity that the session is activated with. The zero value is Anonymous.
type User struct {
	Name, Password string
	// ClearPassword lets the password be sent unencrypted, or to a server whose
	// certificate was not validated.
	ClearPassword bool

	Certificate []byte // DER, in place of a name
	Key         *rsa.PrivateKey
}

func (u User) tokenType() ua.UserTokenType {
	switch {
	case len(u.Certificate) > 0:
		return ua.UserTokenTypeCertificate
	case u.Name != "":
		return ua.UserTokenTypeUserName
	}
	return ua.UserTokenTypeAnonymous
}

func (c Config) withDefaults() Config {
	c.Policy = ua.FormatSecurityPolicyURI(c.Policy)
	if c.Policy == "" {
		c.Policy = ua.SecurityPolicyURINone
	}
	if c.Mode == ua.MessageSecurityModeInvalid && c.Policy == ua.SecurityPolicyURINone {
		c.Mode = ua.MessageSecurityModeNone
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Pace == nil {
		c.Pace = &Pace{}
	}
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = defaultInFlight
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ApplicationURI == "" && c.Store != nil && c.Store.Own() != nil {
		if uris := c.Store.Own().Certificate.URIs; len(uris) > 0 {
			c.ApplicationURI = uris[0].String()
		}
	}
	return c
}
