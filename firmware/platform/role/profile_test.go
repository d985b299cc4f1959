package role

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/config"
)

func TestProfileAddresses(t *testing.T) {
	for address, want := range map[string]string{ // part of the error; "" for none
		"127.0.0.1:6060":        "",
		"127.8.8.8:0":           "",
		"[::1]:6060":            "",
		"0.0.0.0:6060":          "0.0.0.0 is not a loopback address",
		"[::]:6060":             ":: is not a loopback address",
		"10.0.0.5:6060":         "10.0.0.5 is not a loopback address",
		"[::ffff:10.0.0.5]:606": "is not a loopback address",
		":6060":                 "must be 127.0.0.1:PORT",
		"localhost:6060":        "must be 127.0.0.1:PORT",
		"127.0.0.1":             "must be 127.0.0.1:PORT",
		"":                      "must be 127.0.0.1:PORT",
	} {
		_, err := parseProfileAddress(address)
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", address, err, want)
		}
	}
}

// A role serves profiles while it runs, and only when it is asked to.
func TestProfilesAreServedWhileTheRoleRuns(t *testing.T) {
	address := await.FreeAddress(t)
	get := func(url string) (int, string) {
		t.Helper()
		r, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
	program := func(run func()) Program {
		return Program{Name: "heliotx",
			Check: func(string) ([]config.Warning, error) { return nil, nil },
			Run: func(context.Context, string, *slog.Logger, <-chan os.Signal) error {
				run()
				return nil
			}}
	}
	var out bytes.Buffer
	code := Main(program(func() {
		if code, body := get("http://" + address + "/debug/pprof/goroutine?debug=1"); code != http.StatusOK ||
			!strings.Contains(body, "goroutine profile") {
			t.Errorf("goroutine profile: got %d %q", code, body)
		}
		if code, _ := get("http://" + address + "/"); code != http.StatusNotFound {
			t.Errorf("/: got %d, want %d", code, http.StatusNotFound)
		}
		_, port, _ := net.SplitHostPort(address)
		if code, _ := get("http://localhost:" + port + "/debug/pprof/"); code != http.StatusMisdirectedRequest {
			t.Errorf("another name: got %d, want %d", code, http.StatusMisdirectedRequest)
		}
	}), []string{"--config", "f", "--pprof", address}, &out, &out)
	if code != OK {
		t.Errorf("got exit code %d, want 0:\n%s", code, &out)
	}
	if r, err := http.Get("http://" + address + "/debug/pprof/"); err == nil {
		r.Body.Close()
		t.Error("profiles are served after the role ended")
	}
	Main(program(func() {
		if r, err := http.Get("http://" + address + "/debug/pprof/"); err == nil {
			r.Body.Close()
			t.Error("profiles are served although nothing asked for them")
		}
	}), []string{"--config", "f"}, &out, &out)
}

func TestAnAddressInUseEndsTheRole(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out bytes.Buffer
	p := Program{Check: func(string) ([]config.Warning, error) { return nil, nil },
		Run: func(context.Context, string, *slog.Logger, <-chan os.Signal) error { t.Error("it ran"); return nil }}
	if code := Main(p, []string{"--config", "f", "--pprof", l.Addr().String()}, &out, &out); code != Failure {
		t.Errorf("got exit code %d, want %d", code, Failure)
	}
	if !strings.Contains(out.String(), "--pprof: listen tcp") {
		t.Errorf("got %q, want the reason", &out)
	}
}
