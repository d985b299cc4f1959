package config

import (
	"slices"
	"strings"
)

// syslogPorts maps the schemes of a syslog address to their default ports (RFC 5426,
// RFC 6587 as deployed, RFC 5425).
func syslogPorts() map[string]string {
	return map[string]string{"udp": portSyslogUDP, "tcp": portSyslogTCP, "tls": portSyslogTLS}
}

func (r *report) syslogSource(a tablePath, raw rawSyslogSource) SyslogSource {
	s := SyslogSource{Channel: raw.Channel, Bulk: r.bulk(a, raw.Class)}
	if len(raw.Listen) == 0 {
		r.fault(a, "listen", "listen is missing: write listen = [\"udp://0.0.0.0:514\", \"tcp://0.0.0.0:601\"]")
	}
	for _, listen := range raw.Listen {
		s.Listen = append(s.Listen, r.address(a, "listen", listen, syslogPorts()))
	}
	if slices.ContainsFunc(raw.Listen, isTLS) {
		s.TLS = r.tls(a, raw.CAFile, raw.Certificate, raw.PrivateKey)
	} else {
		r.forbid(a, "these listeners; write tls:// for TLS", "ca_file", "certificate", "private_key")
	}
	return s
}

func (r *report) syslogSink(a tablePath, raw rawSyslogSink) SyslogSink {
	s := SyslogSink{Channel: raw.Channel, SpoolBytes: r.spool(a, raw.Spool)}
	if raw.Forward == "" {
		r.fault(a, "forward", "forward is missing: write forward = \"tcp://siem:601\"")
	} else {
		s.Forward = r.address(a, "forward", raw.Forward, syslogPorts())
	}
	if isTLS(raw.Forward) {
		s.TLS = r.tls(a, raw.CAFile, raw.Certificate, raw.PrivateKey)
	} else {
		r.forbid(a, "this address; write tls:// for TLS", "ca_file", "certificate", "private_key")
	}
	return s
}

func isTLS(address string) bool { return strings.HasPrefix(address, "tls:") }
