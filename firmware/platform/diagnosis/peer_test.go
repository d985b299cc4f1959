package diagnosis_test

import (
	"strings"
	"testing"

	"heliograph/firmware/platform/diagnosis"
)

// The reasons are as roles have logged them.
func TestWhyAPeerIsNotReachedIsNamed(t *testing.T) {
	const own = "opcua client: opening the secure channel: Status"
	const certificate = ": certificate 5821B46747FD5821B46747FD5821B46747FD5821 (CN=plant): "
	for _, c := range []struct{ protocol, reason, code, cure string }{
		{"opcua", "dial tcp: lookup plant on 10.0.0.1:53: no such host", "name-unknown", "endpoint"},
		{"mqtt", "dial tcp 10.0.0.6:1883: connect: connection refused", "connection-refused", "broker"},
		{"syslog", "dial tcp 10.0.0.6:601: i/o timeout", "unreachable", "forward"},
		{"syslog", "dial tcp 10.0.0.6:601: connect: no route to host", "unreachable", "ping"},
		{"opcua", own + "BadCertificateUntrusted" + certificate + "neither it nor an issuer of it is trusted",
			"server-untrusted", "heliograph trust add --config f.toml 5821B46747FD5821B46747FD5821B46747FD5821"},
		{"opcua", own + "BadCertificateHostNameInvalid" + certificate + "it does not name the endpoint's host",
			"host-name", `tolerate = ["host_name"]`},
		{"opcua", own + "BadCertificateURIInvalid" + certificate + "it does not name", "application-uri", "another"},
		{"opcua", own + "BadCertificateTimeInvalid" + certificate + "it is valid from", "certificate-time", "`date`"},
		{"opcua", own + "BadCertificateRevocationUnknown" + certificate + "the list", "revocation", "issuer/crl"},
		{"opcua", own + "BadCertificatePolicyCheckFailed" + certificate + "its RSA key has 1024 bits", "certificate",
			"another certificate"},
		{"opcua", own + "BadSecurityChecksFailed: the server says \"no\"", "client-untrusted", "heliograph cert " +
			"export"},
		{"opcua", own + "BadCertificateUntrusted: the server says \"no\"", "client-untrusted", "heliograph cert " +
			"export"},
		{"opcua", own + "BadCertificateTimeInvalid: the server says \"no\"", "clock", "set the wrong one"},
		{"opcua", own + "BadSecurityPolicyRejected: server refused to open the channel", "discovery", "GetEndpoints"},
		{"opcua", "StatusBadSecurityPolicyRejected: x does not offer \"Basic256Sha256\"/Sign; it offers " +
			"\"Aes256_Sha256_RsaPss\"/Sign, \"None\"/None", "policy",
			`"Aes256_Sha256_RsaPss" and security_mode = "Sign"`},
		{"opcua", "StatusBadUserAccessDenied: the server refused the user", "user", "username and password_file"},
		{"opcua", "StatusBadTooManySessions: the server has no room", "sessions", "raise the server's limit"},
		{"mqtt", "the broker refuses this version of MQTT: unacceptable protocol version", "mqtt-version", `"auto"`},
		{"mqtt", "the broker refuses the connection with reason 0x87: ", "mqtt-user", "username and password_file"},
		{"mqtt", "bad user name or password", "mqtt-user", "username and password_file"},
		{"mqtt", "the broker refuses \"plant/#\" with reason 0x87", "mqtt-acl", "topics"},
		{"mqtt", "identifier rejected", "mqtt-client-id", "client_id"},
		{"mqtt", "tls: failed to verify certificate: x509: certificate signed by unknown authority", "tls-untrusted",
			"ca_file"},
		{"syslog", "tls: failed to verify certificate: x509: certificate is valid for siem, not it", "host-name",
			"address"},
		{"syslog", "x509: certificate has expired or is not yet valid: current time", "certificate-time", "`date`"},
		{"mqtt", "tls: first record does not look like a TLS handshake", "tls-off", "TLS port"},
		{"mqtt", "remote error: tls: certificate required", "tls", "private_key"},
		{"mqtt", "something else", "peer-down", "logs about this"},
	} {
		p := diagnosis.Peer{Channel: "c", Protocol: c.protocol, Address: c.protocol + "://plant", Reason: c.reason}
		got := diagnosis.Site{Role: "tx", Config: "f.toml"}.Peer(p)
		if got.Code != c.code || !strings.Contains(got.Cure, c.cure) || got.Where != "channel c" {
			t.Errorf("%s: got %+v, want %s with cure %q", c.reason, got, c.code, c.cure)
		}
		if board := (diagnosis.Site{Role: "tx"}).Peer(p); strings.Contains(board.Cure, "CONFIG") ||
			strings.Contains(board.Cure, "--config") {
			t.Errorf("%s: on a board the cure is %q, which takes a file", c.reason, board.Cure)
		}
	}
}
