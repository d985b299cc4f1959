package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTelemetryHasDefaults(t *testing.T) {
	for endpoint, want := range map[string]string{
		"http://127.0.0.1":                "http://127.0.0.1:4318/v1/metrics",
		"https://collector/":              "https://collector:4318/v1/metrics",
		"https://c.example:443/otlp/v1/m": "https://c.example:443/otlp/v1/m",
		"http://[::1]:9090/api":           "http://[::1]:9090/api",
	} {
		c, warnings, err := ParseTX(strings.NewReader(head+oneSyslog+"[telemetry]\nendpoint = \""+endpoint+"\"\n"),
			folder(t))
		if got := c.Telemetry; err != nil || len(warnings) > 0 || got.Endpoint != want || got.Interval != time.Minute {
			t.Errorf("%s: got %+v, %v, %v; want %s each minute", endpoint, got, warnings, err, want)
		}
	}
}

func TestTelemetryHeadersAreRead(t *testing.T) {
	const table = head + oneSyslog + "[telemetry]\nheaders_file = \"h\"\nendpoint = "
	for _, c := range []struct{ text, endpoint, want string }{
		{"Authorization: Bearer a:b\r\n\r\nX-Scope-OrgID: plant\n", "https://c", ""},
		{"Authorization: Bearer x\n", "http://c", "warning: the headers of headers_file cross the network unencrypted"},
		{"Authorization: Bearer x\n", "http://[::1]", ""},
		{"Bearer s3cret\n", "https://c", "headers_file: header 1 of"},
		{"A: b\nHost: c\n", "https://c", "headers_file: header 2 of"},
		{"Content-Type: text/plain\n", "https://c", "headers_file: header 1 of"},
		{"A: \x01\n", "https://c", "headers_file: header 1 of"},
		{strings.Repeat("A: b\n", 33), "https://c", "more than 32 headers"},
	} {
		dir := folder(t)
		if err := os.WriteFile(filepath.Join(dir, "h"), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, warnings, err := ParseTX(strings.NewReader(table+"\""+c.endpoint+"\"\n"), dir)
		said := ""
		if err != nil {
			said = err.Error()
		}
		for _, w := range warnings {
			said += w.String()
		}
		if c.want == "" && said != "" || !strings.Contains(said, c.want) || strings.Contains(said, "s3cret") {
			t.Errorf("%q to %s: got %q, want %q", c.text, c.endpoint, said, c.want)
		}
		if c.want == "" && !strings.HasPrefix(got.Telemetry.Headers.Get("Authorization"), "Bearer ") {
			t.Errorf("%q: got %v", c.text, got.Telemetry.Headers)
		}
	}
}

func TestTelemetryIsChecked(t *testing.T) {
	for lines, want := range map[string]string{
		"interval = \"10s\"":                                        "not allowed with an export that is off",
		"endpoint = \"collector:4318\"":                             "write \"https://host:port\"",
		"endpoint = \"https://ot:s3cret@collector\"":                "a login belongs in headers_file",
		"endpoint = \"https://collector?token=1\"":                  "is not an address",
		"endpoint = \"https://collector:0\"":                        "a number from 1 to 65535",
		"endpoint = \"http://collector\"\nca_file = \"ca.pem\"":     "write https:// for TLS",
		"endpoint = \"https://collector\"\nca_file = \"pair.key\"":  "does not contain a PEM certificate",
		"endpoint = \"https://collector\"\ninterval = \"1s\"":       "must be from 5s to 1h",
		"endpoint = \"https://collector\"\nheaders_file = \"none\"": "file not found",
		"endpoint = \"https://collector\"\nprotocol = \"grpc\"":     "protocol",
	} {
		_, _, err := ParseTX(strings.NewReader(head+oneSyslog+"[telemetry]\n"+lines+"\n"), folder(t))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want one fault with %q", lines, err, want)
		}
	}
}
