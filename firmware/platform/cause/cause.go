// Package cause says as a value why something does not work: a code, and what the code
// alone does not say. Sources, sinks and links have it in their errors; the status, the
// self-report of the transmitter and `heliograph doctor` carry it beside the words, and
// package diagnosis has a cure for each code.
//
// The package refuses to read words: an error that has no cause, and is none of the network,
// of TLS or of a file that the standard library knows, has the code "".
package cause

import (
	"encoding/json"
	"errors"
	"slices"
)

// Code is a cause for programs; codes do not change.
type Code string

// The codes of a peer that is not reached, or does not let this side in.
const (
	NameUnknown       Code = "name-unknown"       // the host's name is not resolved
	ConnectionRefused Code = "connection-refused" // no program listens there
	Unreachable       Code = "unreachable"        // no answer
	TLSUntrusted      Code = "tls-untrusted"      // the authority of its certificate is not known
	TLSOff            Code = "tls-off"            // it does not use TLS at that port
	TLS               Code = "tls"                // TLS fails otherwise
	HostName          Code = "host-name"          // its certificate names another host
	CertificateTime   Code = "certificate-time"   // its certificate has ended, or is not valid yet

	ServerUntrusted Code = "server-untrusted" // OPC UA: this side does not trust its certificate
	ApplicationURI  Code = "application-uri"  // OPC UA: its certificate does not name its ApplicationUri
	Revocation      Code = "revocation"       // OPC UA: its certificate is revoked, or that is not known
	Certificate     Code = "certificate"      // OPC UA: its certificate has another fault
	ClientUntrusted Code = "client-untrusted" // OPC UA: it does not trust the certificate of this side
	Policy          Code = "policy"           // OPC UA: it does not offer the security that is configured
	Discovery       Code = "discovery"        // OPC UA: it does not tell its endpoints
	User            Code = "user"             // OPC UA: it refuses the user
	Sessions        Code = "sessions"         // OPC UA: it has no room for a session
	EndpointsDiffer Code = "endpoints-differ" // OPC UA: a session shows other endpoints than discovery
	Clock           Code = "clock"            // one of the two clocks is wrong, or the clock is not set

	TimeServers Code = "time-servers" // no time server answers

	MQTTVersion Code = "mqtt-version"   // the broker does not have the version
	MQTTUser    Code = "mqtt-user"      // the broker refuses user or password
	MQTTID      Code = "mqtt-client-id" // the broker refuses the client identifier
	MQTTAccess  Code = "mqtt-acl"       // the broker's access control
)

// The codes of the machine, the link and the configuration.
const (
	PortInUse        Code = "port-in-use"
	PortPermission   Code = "port-permission" // a port below 1024, and not root
	Address          Code = "address"         // is not one of this machine
	DiskFull         Code = "disk-full"
	StateUnwritable  Code = "state-unwritable"
	DeviceMissing    Code = "device-missing"
	InterfaceMissing Code = "interface-missing"
	InterfaceAddress Code = "interface-address" // the link's interface has one, and is not the link's alone
	KeyMismatch      Code = "key-mismatch"
	Silent           Code = "silent"
	EpochRegressed   Code = "epoch-regressed"
	ChannelName      Code = "channel-name" // only one side has the channel
	MemoryFull       Code = "memory-full"  // more state than [memory] lets it have
	Incomplete       Code = "incomplete"   // what is waited for is on its way
)

// Cause is why something does not work. The zero value is that it is not known.
type Cause struct {
	Code       Code   `json:"code"`                      // for programs
	Address    string `json:"address,omitempty"`         // of the peer
	Thumbprint string `json:"thumbprint,omitempty"`      // of the certificate that this side does not accept
	Policy     string `json:"security_policy,omitempty"` // the strongest that the peer offers and this side has …
	Mode       string `json:"security_mode,omitempty"`   // … and its mode
	Detail     string `json:"detail,omitempty"`          // what the check says, in words
}

// Bounds of what is read of another machine, in bytes.
const (
	maxCode   = 32
	maxDetail = 300
)

// UnmarshalJSON reads a cause that another machine has sent. What no cause has is left out:
// parts of it become part of commands.
func (c *Cause) UnmarshalJSON(b []byte) error {
	type plain Cause
	var got plain
	if err := json.Unmarshal(b, &got); err != nil {
		return err
	}
	*c = Cause(got).clean()
	return nil
}

func (c Cause) clean() Cause {
	if !only(string(c.Code), maxCode, func(r rune) bool { return r >= 'a' && r <= 'z' || r == '-' }) {
		return Cause{}
	}
	if len(c.Thumbprint) != 40 || !only(c.Thumbprint, 40, func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'A' && r <= 'F'
	}) {
		c.Thumbprint = ""
	}
	if !slices.Contains([]string{"None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"},
		c.Policy) ||
		!slices.Contains([]string{"None", "Sign", "SignAndEncrypt"}, c.Mode) {
		c.Policy, c.Mode = "", ""
	}
	if !only(c.Address, maxDetail, func(r rune) bool { return r > ' ' && r < 0x7f && r != '"' && r != '`' }) {
		c.Address = ""
	}
	if len(c.Detail) > maxDetail {
		c.Detail = ""
	}
	return c
}

// only reports whether a text is not longer than most, and made of some characters.
func only(s string, most int, in func(rune) bool) bool {
	for _, r := range s {
		if !in(r) {
			return false
		}
	}
	return len(s) <= most
}

// known is an error with its cause.
type known struct {
	cause Cause
	err   error
}

func (k *known) Error() string { return k.err.Error() }
func (k *known) Unwrap() error { return k.err }

// Why is the cause.
func (k *known) Why() Cause { return k.cause }

// With returns an error with its cause, which Of finds however the error is wrapped.
func With(c Cause, err error) error { return &known{c, err} }

// New is With for a code alone.
func New(code Code, err error) error { return With(Cause{Code: code}, err) }

// At adds the peer's address to the cause of an error.
func At(address string, err error) error {
	c := Of(err)
	c.Address = address
	return With(c, err)
}

// Of returns the cause of an error; of several the outermost.
func Of(err error) Cause {
	var caused interface{ Why() Cause }
	if err == nil {
		return Cause{}
	}
	if errors.As(err, &caused) {
		if c := caused.Why(); c.Code != "" {
			return c
		}
	}
	var coded interface{ CauseCode() string } // of the drivers, which do not know this package
	if errors.As(err, &coded) {
		return Cause{Code: Code(coded.CauseCode())}
	}
	return ofSystem(err)
}
