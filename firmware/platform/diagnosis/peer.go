package diagnosis

import (
	"cmp"
	"fmt"

	"heliograph/firmware/platform/cause"
)

// Peer is a server, broker or collector that is not reached.
type Peer struct {
	Channel  string // "" for a peer of the role itself
	Protocol string // opcua, mqtt, syslog
	Address  string
	Reason   string // in words of a role or a probe
	Cause    cause.Cause
}

func (p Peer) where() string {
	if p.Channel == "" {
		return p.Protocol
	}
	return "channel " + p.Channel
}

// table is the channel's in the configuration.
func (p Peer) table() string { return fmt.Sprintf("[[%s]] %s", p.Protocol, p.Channel) }

// words are what the check says, or else all that is said.
func (p Peer) words() string { return cmp.Or(p.Cause.Detail, p.Reason) }

// Peer returns why a peer is not reached.
func (s Site) Peer(p Peer) Finding {
	kind := map[string]string{"opcua": "OPC UA server", "mqtt": "broker", "syslog": "collector"}[p.Protocol]
	p.Address = cmp.Or(p.Address, p.Cause.Address, "the "+cmp.Or(kind, "peer"))
	words, cure := "", ""
	for _, rule := range []func(Site, Peer) (words, cure string){
		Site.network, Site.tls, Site.certificate, Site.opcua, Site.mqtt, Site.own,
	} {
		if words, cure = rule(s, p); cure != "" {
			return Finding{Fault, string(p.Cause.Code), p.where(), words, cure}
		}
	}
	return Finding{Fault, "peer-down", p.where(), p.Reason, "see what " + p.Address + " logs about this, and the " +
		"log of helio" + s.Role}
}

// network names a peer that no connection reaches.
func (s Site) network(p Peer) (words, cure string) {
	key := map[string]string{"opcua": "endpoint", "mqtt": "broker", "syslog": "forward"}[p.Protocol]
	right := s.set(p.table(), key+" = the right address")
	switch p.Cause.Code {
	case cause.NameUnknown:
		return "the name in " + p.Address + " is not resolved",
			s.pick("`getent hosts NAME` must answer: correct /etc/resolv.conf, or use an address; "+right,
				"key n sets the nameservers; or use an address: "+right)
	case cause.ConnectionRefused:
		return "no program listens at " + p.Address, "start the server there, or " + right
	case cause.Unreachable:
		return p.Address + " does not answer",
			s.pick("`ping` the host: correct cable, route or firewall; or ",
				"key n shows address and gateway: correct them, cable or firewall; or ") + right
	}
	return "", ""
}

// certificate names what this side does not accept of an OPC UA server's certificate.
func (s Site) certificate(p Peer) (words, cure string) {
	print := p.Cause.Thumbprint
	trust := s.pick("heliograph trust add --config CONFIG "+print, "key c, the number of "+print+", and yes")
	if print == "" {
		trust = "trust that one"
	}
	switch p.Cause.Code {
	case cause.HostName:
		return "the server's certificate does not name the host in " + p.Address,
			"use the host that it names in the endpoint, or " + s.set(p.table(), `tolerate = ["host_name"]`)
	case cause.ApplicationURI:
		return "the server's certificate does not name its ApplicationUri: the server was renamed after the " +
			"certificate was made", "have the server make another certificate (this cannot be tolerated), then " + trust
	case cause.CertificateTime:
		return "the server's certificate has expired or is not valid yet: " + p.words(),
			s.pick("if `date` is wrong here, set the clock; else renew the server's certificate, or ",
				"if the board's time is wrong, correct [time] servers; else renew the server's certificate, or ") +
				s.set(p.table(), `tolerate = ["dates"]`)
	case cause.ServerUntrusted:
		return "this side does not trust the server's certificate " + print,
			"compare the thumbprint with the server's own, then " + trust
	case cause.Revocation:
		return p.words(), "put the authority's current list (CRL) into issuer/crl of the [pki] folder"
	case cause.Certificate:
		return p.words(), "have the server make another certificate, then " + trust
	}
	return "", ""
}

// opcua names what an OPC UA server does not accept of this side.
func (s Site) opcua(p Peer) (words, cure string) {
	switch p.Cause.Code {
	case cause.Policy:
		policy, mode := cmp.Or(p.Cause.Policy, "None"), cmp.Or(p.Cause.Mode, "None")
		return "the server does not offer the security that is configured: " + p.words(),
			s.set(p.table(), fmt.Sprintf("security_policy = %q and security_mode = %q", policy, mode))
	case cause.Discovery:
		return "the server does not let a client ask for its endpoints",
			"allow discovery (GetEndpoints) without security in the server; sessions stay secured"
	case cause.EndpointsDiffer:
		return "the server's session shows other endpoints than its discovery: something between may have changed them",
			"connect without what is between (a proxy, a gateway), or have the server list one set of endpoints"
	case cause.User:
		return "the server refuses the user or the password",
			s.set(p.table(), "username and password_file, to an account that the server has")
	case cause.ClientUntrusted:
		return "the server does not trust the certificate of heliotx",
			s.pick("heliograph cert export --config CONFIG heliotx.der, and trust that file in the server; "+
				"many have it already among their rejected certificates",
				"trust the board's certificate in the server: it is among those that it rejected")
	case cause.Clock:
		return "the server takes the certificate, or the time, of heliotx for wrong: one of the two clocks is",
			s.pick("compare `date` here with the server's clock, and set the wrong one",
				"correct the server's clock, or [time] servers of heliograph.toml")
	case cause.Sessions:
		return "the server has no room for another session", "close a session there, or raise the server's limit"
	}
	return "", ""
}

// tls names what fails before the protocol of a broker or a collector begins.
func (s Site) tls(p Peer) (words, cure string) {
	if p.Protocol == "opcua" {
		return "", ""
	}
	switch p.Cause.Code {
	case cause.TLSUntrusted:
		return "the certificate of " + p.Address + " is not of a known authority",
			s.set(p.table(), `ca_file = "ca.pem", the authority's certificate,`)
	case cause.HostName:
		return "the certificate of " + p.Address + " names another host",
			"use the host that it names: " + s.set(p.table(), "the address")
	case cause.CertificateTime:
		return "the certificate of " + p.Address + " has expired or is not valid yet: " + p.words(),
			s.pick("if `date` is wrong on this side, set the clock; else renew the certificate there",
				"if the board's time is wrong, correct [time] servers; else renew the certificate there")
	case cause.TLSOff:
		return p.Address + " does not use TLS at this port",
			"use its TLS port, or write the address without TLS: " + s.set(p.table(), "the address")
	case cause.TLS:
		return "TLS with " + p.Address + " fails: " + p.words(),
			s.set(p.table(), "ca_file, certificate and private_key as the peer wants them")
	}
	return "", ""
}

// mqtt names what a broker refuses.
func (s Site) mqtt(p Peer) (words, cure string) {
	switch p.Cause.Code {
	case cause.MQTTVersion:
		return "the broker refuses the version of MQTT: " + p.words(), s.set(p.table(), `version = "auto"`)
	case cause.MQTTAccess:
		return "access control: " + p.words(),
			"let the user subscribe there in the broker's access rules, or " + s.set(p.table(), "topics")
	case cause.MQTTUser:
		return "the broker refuses the user, the password or the client: " + p.words(),
			s.set(p.table(), "username and password_file, to an account that the broker has")
	case cause.MQTTID:
		return "the broker refuses the client identifier",
			s.set(p.table(), "client_id, to one that the broker lets in")
	}
	return "", ""
}

// own names what keeps this side from serving its clients.
func (s Site) own(p Peer) (words, cure string) {
	switch p.Cause.Code {
	case cause.PortInUse:
		return p.Address + " cannot be listened on: another program has the port",
			s.pick("`ss -lnp` names the program: end it, or ", "") + s.set(p.table(), "listen, to another port")
	case cause.PortPermission:
		return p.Address + " cannot be listened on: this user may not use a port below 1024",
			s.pick("setcap cap_net_bind_service+ep helioROLE, or ", "") + s.set(p.table(),
				"listen, to a port above 1023")
	case cause.Address:
		return p.Address + " cannot be listened on: this machine does not have the address",
			s.pick("`ip address` shows those that it has: ", "key n shows the one that it has: ") +
				s.set(p.table(), "listen, to it or to 0.0.0.0")
	}
	return "", ""
}
