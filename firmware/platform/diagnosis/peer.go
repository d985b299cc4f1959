package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Peer is a server, broker or collector that is not reached.
type Peer struct {
	Channel  string // "" for a peer of the role itself
	Protocol string // opcua, mqtt, syslog
	Address  string
	Reason   string // of a role or a probe
}

func (p Peer) where() string {
	if p.Channel == "" {
		return p.Protocol
	}
	return "channel " + p.Channel
}

// table is the channel's in the configuration.
func (p Peer) table() string { return fmt.Sprintf("[[%s]] %s", p.Protocol, p.Channel) }

// has reports whether the reason has one of some words.
func (p Peer) has(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(p.Reason, w) })
}

// thumbprint is that of a certificate that this side refused.
var thumbprint = regexp.MustCompile(`certificate ([0-9A-F]{40}) \(`)

// offer is an endpoint's security in the words of package opcua/client.
var offer = regexp.MustCompile(`"(\w+)"/(\w+)`)

// Peer returns why a peer is not reached.
func (s Site) Peer(p Peer) Finding {
	for _, rule := range []func(Site, Peer) (Finding, bool){
		Site.network, Site.certificate, Site.opcua, Site.tls, Site.mqtt,
	} {
		if f, ok := rule(s, p); ok {
			f.Where = p.where()
			return f
		}
	}
	return Finding{"peer-down", p.where(), p.Reason, "see what " + p.Address + " logs about this, and the log of " +
		"helio" + s.Role}
}

// network names a peer that no connection reaches.
func (s Site) network(p Peer) (f Finding, ok bool) {
	key := map[string]string{"opcua": "endpoint", "mqtt": "broker", "syslog": "forward"}[p.Protocol]
	right := s.set(p.table(), key+" = the right address")
	switch {
	case p.has("no such host", "server misbehaving", "Temporary failure in name resolution"):
		return Finding{Code: "name-unknown", Cause: "the name in " + p.Address + " is not resolved",
			Cure: s.pick("`getent hosts NAME` must answer: correct /etc/resolv.conf, or use an address; "+right,
				"key n sets the nameservers; or use an address: "+right)}, true
	case p.has("connection refused"):
		return Finding{Code: "connection-refused", Cause: "no program listens at " + p.Address,
			Cure: "start the server there, or " + right}, true
	case p.has("no route to host", "network is unreachable", "i/o timeout", "no answer in time",
		"context deadline exceeded", "does not answer"):
		return Finding{Code: "unreachable", Cause: p.Address + " does not answer",
			Cure: s.pick("`ping` the host: correct cable, route or firewall; or ",
				"key n shows address and gateway: correct them, cable or firewall; or ") + right}, true
	}
	return f, false
}

// certificate names what this side does not accept of a server's certificate.
func (s Site) certificate(p Peer) (f Finding, ok bool) {
	found := thumbprint.FindStringSubmatch(p.Reason)
	if found == nil {
		return f, false
	}
	print, tolerate := found[1], p.table()
	trust := s.pick("heliograph trust add --config CONFIG "+print,
		"key c, the number of "+print+", and yes")
	switch {
	case p.has("BadCertificateHostNameInvalid"):
		return Finding{Code: "host-name", Cause: "the server's certificate does not name the host in " + p.Address,
			Cure: "use the host that it names in the endpoint, or " + s.set(tolerate, `tolerate = ["host_name"]`)}, true
	case p.has("BadCertificateUriInvalid", "BadCertificateURIInvalid"):
		return Finding{Code: "application-uri", Cause: "the server's certificate does not name its ApplicationUri: " +
			"the server was renamed after the certificate was made",
			Cure: "have the server make another certificate (this cannot be tolerated), then " + trust}, true
	case p.has("TimeInvalid"):
		return Finding{Code: "certificate-time", Cause: "the server's certificate has expired or is not valid yet: " +
			after(p.Reason, "): "),
			Cure: s.pick("if `date` is wrong here, set the clock; else renew the server's certificate, or ",
				"if the board's time is wrong, correct [time] servers; else renew the server's certificate, or ") +
				s.set(tolerate, `tolerate = ["dates"]`)}, true
	case p.has("BadCertificateUntrusted", "BadCertificateChainIncomplete"):
		return Finding{Code: "server-untrusted", Cause: "this side does not trust the server's certificate " + print,
			Cure: "compare the thumbprint with the server's own, then " + trust}, true
	case p.has("Revocation"):
		return Finding{Code: "revocation", Cause: after(p.Reason, "): "),
			Cure: "put the authority's current list (CRL) into issuer/crl of the [pki] folder"}, true
	}
	return Finding{Code: "certificate", Cause: after(p.Reason, "): "),
		Cure: "have the server make another certificate, then " + trust}, true
}

// opcua names what a server does not accept of this side.
func (s Site) opcua(p Peer) (f Finding, ok bool) {
	switch {
	case p.Protocol != "opcua":
		return f, false
	case p.has("it offers"):
		policy, mode := best(p.Reason)
		line := fmt.Sprintf("security_policy = %q and security_mode = %q", policy, mode)
		return Finding{Code: "policy", Cause: after(p.Reason, "SecurityPolicyRejected: "), Cure: s.set(p.table(),
				line)},
			true
	case p.has("BadSecurityPolicyRejected"):
		return Finding{Code: "discovery", Cause: "the server does not let a client ask for its endpoints",
			Cure: "allow discovery (GetEndpoints) without security in the server; sessions stay secured"}, true
	case p.has("BadUserAccessDenied", "BadIdentityToken", "BadUserSignature"):
		return Finding{Code: "user", Cause: "the server refuses the user or the password",
			Cure: s.set(p.table(), "username and password_file, to an account that the server has")}, true
	case p.has("BadSecurityChecksFailed", "BadCertificateUntrusted", "BadCertificateUseNotAllowed",
		"BadCertificateInvalid"):
		return Finding{Code: "client-untrusted", Cause: "the server does not trust the certificate of heliotx",
			Cure: s.pick("heliograph cert export --config CONFIG heliotx.der, and trust that file in the server; "+
				"many have it already among their rejected certificates",
				"trust the board's certificate in the server: it is among those that it rejected")}, true
	case p.has("BadCertificateTimeInvalid", "BadInvalidTimestamp"):
		return Finding{Code: "clock", Cause: "the server takes the certificate, or the time, of heliotx for wrong: " +
			"one of the two clocks is",
			Cure: s.pick("compare `date` here with the server's clock, and set the wrong one",
				"correct the server's clock, or [time] servers of heliograph.toml")}, true
	case p.has("BadTooManySessions"):
		return Finding{Code: "sessions", Cause: "the server has no room for another session",
			Cure: "close a session there, or raise the server's limit"}, true
	}
	return f, false
}

// best is the strongest security that a server offers and this program has.
func best(reason string) (policy, mode string) {
	offered := map[string]bool{}
	for _, m := range offer.FindAllStringSubmatch(after(reason, "it offers"), -1) {
		offered[m[1]+"/"+m[2]] = true
	}
	for _, mode := range []string{"SignAndEncrypt", "Sign"} {
		for _, policy := range []string{"Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep"} {
			if offered[policy+"/"+mode] {
				return policy, mode
			}
		}
	}
	return "None", "None"
}

// tls names what fails before the protocol of a broker or a collector begins.
func (s Site) tls(p Peer) (f Finding, ok bool) {
	switch {
	case p.has("certificate signed by unknown authority", "certificate is not trusted"):
		return Finding{Code: "tls-untrusted", Cause: "the certificate of " + p.Address + " is not of a known authority",
			Cure: s.set(p.table(), `ca_file = "ca.pem", the authority's certificate,`)}, true
	case p.has("certificate is valid for", "doesn't contain any IP SANs", "is not valid for any names"):
		return Finding{Code: "host-name", Cause: "the certificate of " + p.Address + " names another host",
			Cure: "use the host that it names: " + s.set(p.table(), "the address")}, true
	case p.has("certificate has expired or is not yet valid"):
		return Finding{Code: "certificate-time", Cause: "the certificate of " + p.Address +
			" has expired or is not valid yet: " + after(p.Reason, "not yet valid: "),
			Cure: "if `date` is wrong on this side, set the clock; else renew the certificate there"}, true
	case p.has("first record does not look like a TLS handshake"):
		return Finding{Code: "tls-off", Cause: p.Address + " does not use TLS at this port",
			Cure: "use its TLS port, or write the address without TLS: " + s.set(p.table(), "the address")}, true
	case p.has("tls: "):
		return Finding{Code: "tls", Cause: "TLS with " + p.Address + " fails: " + after(p.Reason, "tls: "),
			Cure: s.set(p.table(), "ca_file, certificate and private_key as the peer wants them")}, true
	}
	return f, false
}

// mqtt names what a broker refuses.
func (s Site) mqtt(p Peer) (f Finding, ok bool) {
	switch {
	case p.Protocol != "mqtt":
		return f, false
	case p.has("refuses this version", "refuses MQTT 5", "unacceptable protocol version", "without an answer to "+
		"CONNECT"):
		return Finding{Code: "mqtt-version", Cause: "the broker refuses the version of MQTT: " + p.Reason,
			Cure: s.set(p.table(), `version = "auto"`)}, true
	case p.has("the broker refuses \""):
		return Finding{Code: "mqtt-acl", Cause: "access control: " + p.Reason[strings.Index(p.Reason, "the broker "+
			"refuses"):],
			Cure: "let the user subscribe there in the broker's access rules, or " + s.set(p.table(), "topics")}, true
	case p.has("0x86", "0x87", "0x84", "ot authorized", "ot Authorized", "user name or password", "code 5", "code 4"):
		return Finding{Code: "mqtt-user", Cause: "the broker refuses the user, the password or the client: " + p.Reason,
			Cure: s.set(p.table(), "username and password_file, to an account that the broker has")}, true
	case p.has("0x85", "identifier rejected"):
		return Finding{Code: "mqtt-client-id", Cause: "the broker refuses the client identifier",
			Cure: s.set(p.table(), "client_id, to one that the broker lets in")}, true
	}
	return f, false
}

// after returns what follows a mark, the whole text where there is none.
func after(text, mark string) string {
	if _, rest, found := strings.Cut(text, mark); found {
		return rest
	}
	return text
}

// Names reports whether a reason is about the certificate with that thumbprint.
func Names(reason, print string) bool {
	found := thumbprint.FindStringSubmatch(reason)
	return found != nil && found[1] == print
}
