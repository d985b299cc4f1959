package config

import (
	"cmp"
	"net"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/text"
)

// Status is the status server. An empty Listen turns it off.
type Status struct {
	Listen       string // host:port
	Secure       bool   // over TLS, with the files of TLS or a self-signed certificate
	UpdateListen string // host:port that serves /update; "": Listen does
	UpdateSecure bool
	Hosts        []string // further names that a request's Host may have
	UsersFile    string   // who may log in; "": no login is required
	TLS          TLS
}

// StatusListen returns where the status server of a file listens, "" for nowhere, although
// the file may have faults elsewhere. known is false if the file does not say it: it
// cannot be read, is not TOML, or the address itself is at fault.
func StatusListen(path string) (listen string, known bool) {
	document, err := ReadFile(path)
	if err != nil {
		return "", false
	}
	var tree map[string]any
	if err := toml.Unmarshal(text.TrimMark(document), &tree); err != nil {
		return "", false
	}
	if tree["status"] == nil {
		return "", true
	}
	table, ok := tree["status"].(map[string]any)
	switch written := table["listen"].(type) {
	case nil:
		return "", ok
	case string:
		if written == "" {
			return "", true
		}
		r := &report{}
		listen, _ = r.httpListen("status", "listen", written)
		return listen, len(r.faults) == 0
	}
	return "", false
}

const keyUpdateListen = "update_listen"

func (r *report) status(raw rawStatus) Status {
	const a = tablePath("status")
	if raw.Listen == "" {
		r.forbid(a, "a status server that is off; add listen", keyUpdateListen, "hosts", "users_file", "certificate",
			"private_key")
		return Status{}
	}
	s := Status{Hosts: raw.Hosts, UsersFile: r.usersFile(a, raw.UsersFile)}
	s.Listen, s.Secure = r.httpListen(a, "listen", raw.Listen)
	if raw.UpdateListen != "" {
		s.UpdateListen, s.UpdateSecure = r.httpListen(a, keyUpdateListen, raw.UpdateListen)
	}
	for _, host := range raw.Hosts {
		if host == "" || strings.ContainsAny(host, ":/@ *\"'") {
			r.fault(a, "hosts", "hosts: %q is not a name: write it without scheme and port, as in \"gateway.example\"",
				host)
		}
	}
	if s.Secure || s.UpdateSecure {
		s.TLS = r.tls(a, "", raw.Certificate, raw.PrivateKey)
	} else {
		r.forbid(a, "this listen; write https:// for TLS", "certificate", "private_key")
	}
	if raw.UsersFile != "" {
		r.warnCleartext(a, "listen", s.Listen, s.Secure)
		r.warnCleartext(a, keyUpdateListen, s.UpdateListen, s.UpdateSecure)
	}
	return s
}

// httpListen reads "host:port", "http://host:port" or "https://host:port".
func (r *report) httpListen(a tablePath, key, s string) (address string, secure bool) {
	rest, secure := strings.CutPrefix(s, "https://")
	rest = strings.TrimPrefix(rest, "http://")
	address, _ = r.hostPort(a, key, strings.TrimSuffix(rest, "/"), "")
	return address, secure
}

// warnCleartext warns if passwords can be read on the network.
func (r *report) warnCleartext(a tablePath, key, address string, secure bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || secure || loopback(host) {
		return
	}
	r.warn(a, key, "passwords cross the network unencrypted: write \"https://%s\"", address)
}

// audit checks where the audit trail is forwarded to; the zero SyslogSink is nowhere.
func (r *report) audit(raw rawAudit) SyslogSink {
	return r.forward("audit", raw, record.Gateway, "an audit trail that is not forwarded; add forward")
}

// forward checks where lines of the gateway's own go. off is what it is without an address.
func (r *report) forward(a tablePath, raw rawAudit, name, off string) SyslogSink {
	if raw.Forward == "" {
		r.forbid(a, off, "ca_file", "certificate", "private_key", "spool")
		return SyslogSink{}
	}
	return r.syslogSink(a, rawSyslogSink{Channel: name, Forward: raw.Forward, CAFile: raw.CAFile,
		Certificate: raw.Certificate,
		PrivateKey:  raw.PrivateKey, Spool: cmp.Or(raw.Spool, defaultAuditSpool)})
}
