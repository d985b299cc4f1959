package config

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Telemetry is where a role's metrics are exported to. An empty Endpoint turns it off.
type Telemetry struct {
	Endpoint string // http:// or https://, with host, port and path
	Headers  http.Header
	CAFile   string // "": the system's authorities
	Interval time.Duration
}

// Our own choices; port and path are those of OTLP/HTTP.
const (
	portOTLP, pathOTLP = "4318", "/v1/metrics"
	defaultTelemetry   = "1m"
	minTelemetry       = 5 * time.Second
	maxTelemetry       = time.Hour
	maxHeaders         = 32
)

// What a header may be: narrower than RFC 9110, wide enough for tokens.
var headerName, headerValue = regexp.MustCompile(`^[A-Za-z0-9_-]+$`), regexp.MustCompile(`^[ -~]*$`)

func (r *report) telemetry(raw rawTelemetry) Telemetry {
	const a = tablePath("telemetry")
	if raw.Endpoint == "" {
		r.forbid(a, "an export that is off; add endpoint", "headers_file", "ca_file", "interval")
		return Telemetry{}
	}
	t := Telemetry{Endpoint: r.otlpEndpoint(a, raw.Endpoint)}
	t.Interval = r.duration(a, "interval", cmp.Or(raw.Interval, defaultTelemetry), minTelemetry, maxTelemetry)
	secure := strings.HasPrefix(t.Endpoint, "https:")
	if secure {
		t.CAFile = r.tls(a, raw.CAFile, "", "").CAFile
	} else {
		r.forbid(a, "this endpoint; write https:// for TLS", "ca_file")
	}
	if raw.HeadersFile != "" {
		t.Headers = r.headers(a, r.path(raw.HeadersFile))
		if u, err := url.Parse(t.Endpoint); err == nil && !secure && !loopback(u.Hostname()) {
			r.warn(a, "endpoint", "the headers of headers_file cross the network unencrypted: write \"https://…\"")
		}
	}
	return t
}

// otlpEndpoint checks a URL, and adds port and path of OTLP/HTTP where it has none.
func (r *report) otlpEndpoint(a tablePath, s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" {
		r.fault(a, "endpoint", "endpoint %q is not an address: write \"https://host:port\"; a login belongs in "+
			"headers_file", s)
		return ""
	}
	host, _ := r.hostPort(a, "endpoint", u.Host, portOTLP)
	path := u.EscapedPath()
	if path == "" || path == "/" {
		path = pathOTLP
	}
	return u.Scheme + "://" + host + path
}

// headers reads a file of lines "Name: value".
func (r *report) headers(a tablePath, path string) http.Header {
	const key = "headers_file"
	headers, n := http.Header{}, 0
	r.warnReadable(a, key, path)
	for line := range strings.Lines(string(r.smallFile(a, key, path))) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if n++; n > maxHeaders {
			r.fault(a, key, "headers_file: %s has more than %d headers", path, maxHeaders)
			return nil
		}
		if !found || !headerName.MatchString(name) || !headerValue.MatchString(value) || reserved(name) {
			r.fault(a, key, "headers_file: header %d of %s is not a line \"Authorization: Bearer …\" with a name of "+
				"your own", n, path)
			return nil
		}
		headers.Add(name, value)
	}
	return headers
}

// reserved reports whether a header belongs to the exporter or to HTTP itself.
func reserved(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Host", "Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return strings.HasPrefix(http.CanonicalHeaderKey(name), "Content-")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
