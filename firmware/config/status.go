package config

import (
	"net"
	"net/netip"
	"strings"

	"heliograph/firmware/conduit/record"
)

// Status is the status server. Without a Listen there is none.
type Status struct {
	Listen       string // host:port
	Secure       bool   // answers over TLS, with TLS or a certificate that it makes itself
	UpdateListen string // host:port where /update is instead; "": at Listen
	UpdateSecure bool
	Hosts        []string // further names by which it may be asked
	UsersFile    string   // who may; "": everybody
	TLS          TLS
}

const keyUpdateListen = "update_listen"

func (r *report) status(raw rawStatus) Status {
	const a = at("status")
	if raw.Listen == "" {
		r.refuse(a, "a status server that is off: it has no listen", keyUpdateListen, "hosts", "users_file", "certificate", "private_key")
		return Status{}
	}
	s := Status{Hosts: raw.Hosts, UsersFile: r.usersFile(a, raw.UsersFile)}
	s.Listen, s.Secure = r.httpListen(a, "listen", raw.Listen)
	if raw.UpdateListen != "" {
		s.UpdateListen, s.UpdateSecure = r.httpListen(a, keyUpdateListen, raw.UpdateListen)
	}
	for _, host := range raw.Hosts {
		if host == "" || strings.ContainsAny(host, ":/@ *\"'") {
			r.fault(a, "hosts", "hosts: %q is not a name: write it without scheme and port, such as \"gateway.example\"", host)
		}
	}
	if s.Secure || s.UpdateSecure {
		s.TLS = r.tls(a, "", raw.Certificate, raw.PrivateKey)
	} else {
		r.refuse(a, "this listen; it is not https://", "certificate", "private_key")
	}
	if raw.UsersFile != "" {
		r.inTheClear(a, "listen", s.Listen, s.Secure)
		r.inTheClear(a, keyUpdateListen, s.UpdateListen, s.UpdateSecure)
	}
	return s
}

// httpListen reads "host:port", "http://host:port" or "https://host:port".
func (r *report) httpListen(a at, key, s string) (address string, secure bool) {
	rest, secure := strings.CutPrefix(s, "https://")
	rest = strings.TrimPrefix(rest, "http://")
	address, _ = r.hostPort(a, key, strings.TrimSuffix(rest, "/"), "")
	return address, secure
}

// inTheClear warns of passwords that others can read on their way.
func (r *report) inTheClear(a at, key, address string, secure bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || secure || host == "localhost" {
		return
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		return
	}
	r.warn(a, key, "users' passwords cross the network in the clear: write \"https://%s\"", address)
}

// audit is where the audit trail is forwarded to; the zero SyslogSink for nowhere.
func (r *report) audit(raw rawAudit) SyslogSink {
	const a = at("audit")
	if raw.Forward == "" {
		r.refuse(a, "an audit trail that is not forwarded: it has no forward", "ca_file", "certificate", "private_key", "spool")
		return SyslogSink{}
	}
	return r.syslogSink(a, rawSyslogSink{Channel: record.Gateway, Forward: raw.Forward, CAFile: raw.CAFile, Certificate: raw.Certificate,
		PrivateKey: raw.PrivateKey, Spool: orElse(raw.Spool, defaultAuditSpool)})
}
