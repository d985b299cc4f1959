package diagnosis_test

import (
	"strings"
	"testing"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/diagnosis"
)

func TestWhyAPeerIsNotReachedIsNamed(t *testing.T) {
	const print = "5821B46747FD5821B46747FD5821B46747FD5821"
	for _, c := range []struct {
		protocol string
		cause    cause.Cause
		cure     string
	}{
		{"opcua", why(cause.NameUnknown), "endpoint"},
		{"mqtt", why(cause.ConnectionRefused), "broker"},
		{"syslog", why(cause.Unreachable), "forward"},
		{"opcua", cause.Cause{Code: cause.ServerUntrusted, Thumbprint: print},
			"heliograph trust add --config f.toml " + print},
		{"opcua", cause.Cause{Code: cause.HostName, Thumbprint: print}, `tolerate = ["host_name"]`},
		{"opcua", cause.Cause{Code: cause.ApplicationURI, Thumbprint: print}, "another"},
		{"opcua", cause.Cause{Code: cause.CertificateTime, Thumbprint: print}, "`date`"},
		{"opcua", cause.Cause{Code: cause.Revocation, Thumbprint: print}, "issuer/crl"},
		{"opcua", cause.Cause{Code: cause.Certificate, Thumbprint: print}, "another certificate"},
		{"opcua", why(cause.ClientUntrusted), "heliograph cert export"},
		{"opcua", why(cause.Clock), "set the wrong one"},
		{"opcua", why(cause.Discovery), "GetEndpoints"},
		{"opcua", why(cause.EndpointsDiffer), "one set of endpoints"},
		{"opcua", cause.Cause{Code: cause.Policy, Policy: "Aes256_Sha256_RsaPss", Mode: "Sign"},
			`"Aes256_Sha256_RsaPss" and security_mode = "Sign"`},
		{"opcua", why(cause.User), "username and password_file"},
		{"opcua", why(cause.Sessions), "raise the server's limit"},
		{"mqtt", why(cause.MQTTVersion), `"auto"`},
		{"mqtt", why(cause.MQTTUser), "username and password_file"},
		{"mqtt", why(cause.MQTTAccess), "topics"},
		{"mqtt", why(cause.MQTTID), "client_id"},
		{"mqtt", why(cause.TLSUntrusted), "ca_file"},
		{"syslog", why(cause.HostName), "address"},
		{"syslog", why(cause.CertificateTime), "`date`"},
		{"mqtt", why(cause.TLSOff), "TLS port"},
		{"mqtt", why(cause.TLS), "private_key"},
		{"syslog", why(cause.PortInUse), "listen"},
		{"syslog", why(cause.PortPermission), "above 1023"},
		{"syslog", why(cause.Address), "0.0.0.0"},
		{"mqtt", cause.Cause{}, "logs about this"},
	} {
		p := diagnosis.Peer{Channel: "c", Protocol: c.protocol, Address: c.protocol + "://plant", Reason: "some words",
			Cause: c.cause}
		code := string(c.cause.Code)
		if code == "" {
			code = "peer-down"
		}
		got := diagnosis.Site{Role: "tx", Config: "f.toml"}.Peer(p)
		if got.Code != code || !strings.Contains(got.Cure, c.cure) || got.Where != "channel c" || got.Cause == "" {
			t.Errorf("%s: got %+v, want cure %q", code, got, c.cure)
		}
		if board := (diagnosis.Site{Role: "tx"}).Peer(p); strings.Contains(board.Cure, "CONFIG") ||
			strings.Contains(board.Cure, "--config") || strings.Contains(board.Cure, "ROLE") {
			t.Errorf("%s: on a board the cure is %q, which takes a file", code, board.Cure)
		}
	}
}
