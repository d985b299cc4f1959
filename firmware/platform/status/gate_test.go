package status

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/platform/release"
)

// serve runs a server until the test ends.
func serve(t *testing.T, s *Server) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for s.Address() == "" {
		select {
		case err := <-done:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

// from returns a client at an address of the loopback network.
func from(address string) *http.Client {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: d.DialContext,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}}} // the test made the certificate
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	for name, address := range map[string]string{"for the same address": "127.0.0.1",
		"for another address": "127.0.0.2"} {
		t.Run(name, func(t *testing.T) {
			s := server(rx())
			s.Listen = "127.0.0.1:0"
			serve(t, s)
			for range 3 * maxConnections {
				c, err := net.Dial("tcp", s.Address())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			answer, err := from(address).Get("http://" + s.Address() + "/status.json")
			if err != nil {
				t.Fatalf("beside idle connections: %v", err)
			}
			if got := bodyOf(t, answer); !strings.Contains(got, "press-hall") {
				t.Errorf("got %q, want the status", got)
			}
			if s.counts.Evicted.Load() == 0 { // on a slow machine most end by ReadHeaderTimeout
				t.Error("got no connection that made room")
			}
		})
	}
}

func TestHostMustBeOurs(t *testing.T) {
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s := server(rx())
	s.Listen, s.Hosts = "status.plant.example:9464", []string{"gateway.example"}
	audited := 0
	s.Audit = func(kind, text string) {
		if audited++; kind != "host_refused" || !strings.Contains(text, "evil.example") ||
			!strings.HasSuffix(text, "from 192.0.2.1") {
			t.Errorf("audited as %s: %s", kind, text)
		}
	}
	for host, want := range map[string]int{
		"127.0.0.1:9464": 200, "10.1.2.3": 200, "[fd00::1]:9464": 200, "localhost:9464": 200, "": 200, own: 200,
		"gateway.example": 200, "GATEWAY.example.:9464": 200, "status.plant.example": 200,
		"evil.example": 421, "evil.example:9464": 421, "127.0.0.1.evil.example": 421,
		"gateway.example.evil.example": 421,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			r := httptest.NewRequest(method, "/status.json", nil)
			r.Host = host
			w := httptest.NewRecorder()
			s.Handler().ServeHTTP(w, r)
			if want := max(want, map[string]int{http.MethodPut: 405}[method]); w.Code != want {
				t.Errorf("%s with Host %q: got %d, want %d", method, host, w.Code, want)
			}
		}
	}
	if s.counts.HostsRefused.Load() != 8 || audited != 8 {
		t.Errorf("got %d requests refused and %d audited, want 8", s.counts.HostsRefused.Load(), audited)
	}
}

func TestUsersAreAskedForAPassword(t *testing.T) {
	s := server(rx())
	taken := 0
	s.Updates = updates{receive: func(io.Reader, int64) error { taken++; return nil }, running: &release.Running{}}
	var client netip.Addr
	s.Verify = func(name, password string, from netip.Addr) bool {
		client = from
		return name == "ann" && password == "secret"
	}
	for _, tt := range []struct {
		method, path, name, password string
		want                         int
	}{
		{"GET", "/", "", "", 401}, {"GET", "/status.json", "", "", 401}, {"GET", "/metrics", "", "", 401},
		{"GET", "/readyz", "", "", 401},
		{"PUT", "/update", "", "", 401}, {"GET", "/elsewhere", "", "", 401}, {"GET", "/../status.json", "", "", 401},
		{"GET", "/status.json", "ann", "wrong", 401}, {"PUT", "/update", "ann", "wrong", 401},
		{"GET", "/healthz", "", "", 200}, {"GET", "/status.json", "ann", "secret", 200},
		{"PUT", "/update", "ann", "secret", 202},
	} {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		if tt.name != "" {
			r.SetBasicAuth(tt.name, tt.password)
		}
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		if asks := w.Header().Get("WWW-Authenticate") != ""; w.Code != tt.want || asks != (tt.want == 401) {
			t.Errorf("%s %s as %q %q: got %d, asks %t; want %d", tt.method, tt.path, tt.name, tt.password, w.Code, asks,
				tt.want)
		}
	}
	if taken != 1 || s.counts.LoginsRefused.Load() != 2 || client != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("got %d updates taken, %d logins refused, client %v; want 1, 2, 192.0.2.1", taken,
			s.counts.LoginsRefused.Load(), client)
	}
}

func TestUpdatesOnAListenerOfTheirOwn(t *testing.T) {
	own, s := await.FreeAddress(t), server(rx())
	s.Listen, s.UpdateListen = "127.0.0.1:0", own
	s.Updates = updates{receive: func(io.Reader, int64) error { return nil }, running: &release.Running{}}
	s.UpdateTLS = &tls.Config{Certificates: []tls.Certificate{certificate(t)}, MinVersion: tls.VersionTLS12}
	serve(t, s)
	for _, tt := range []struct {
		method, url string
		want        int
	}{
		{"PUT", "http://" + s.Address() + "/update", 403},
		{"GET", "http://" + s.Address() + "/status.json", 200},
		{"PUT", "https://" + own + "/update", 202},
		{"GET", "https://" + own + "/status.json", 404},
		{"GET", "https://" + own + "/healthz", 200},
		{"PUT", "http://" + own + "/update", 400}, // not TLS
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, tt.url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := from("127.0.0.1").Do(r)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.url, err)
			continue
		}
		answer.Body.Close()
		if answer.StatusCode != tt.want {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.url, answer.StatusCode, tt.want)
		}
	}
}

// certificate is one that httptest has.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return server.TLS.Certificates[0]
}

// stuck is a client that reads nothing of its answer.
type stuck struct {
	http.ResponseWriter
	writing chan struct{}
	read    chan struct{}
}

func (s stuck) Write(b []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.read
	return len(b), nil
}

func TestSlowReadersOfMetricsDoNotBlockOthers(t *testing.T) {
	h := server(rx()).Handler()
	read, writing := make(chan struct{}), make(chan struct{})
	defer close(read)
	for range 20 {
		go h.ServeHTTP(stuck{httptest.NewRecorder(), writing, read},
			httptest.NewRequest(http.MethodGet, "/metrics", nil))
		select {
		case <-writing:
		case <-time.After(time.Minute):
			t.Fatal("a request has no turn")
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "heliograph_build_info") {
		t.Errorf("beside clients that do not read: got %d %q, want the metrics", w.Code, w.Body.String())
	}
}

func TestAPortInUseIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := server(rx())
	s.Listen = l.Addr().String()
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "the other role of the pair") {
		t.Errorf("got %v; want that the port is in use, and what to change", err)
	}
}
