package status

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/statement"
)

var updateStatement = flag.Bool("update-statement", false, "rewrite testdata/statement.json")

const goodNonce = "000102030405060708090a0b0c0d0e0f"

// signable is a receiver with a measurement, and much that is not signed.
func signable() Snapshot {
	s := rx()
	bins := Histogram{Bounds: []float64{1, 4}, Counts: []uint64{3, 1, 0}}
	s.Measurement = &Measurement{Sequence: 21000, TransmitterUptimeSeconds: 93.5, Expected: 20900, Missing: 90, Late: 1,
		Bursts: bins, Delay: bins, Classes: []ClassRepairs{{Class: "live", Needed: bins, Beyond: 2}}}
	s.Transmitter = map[string]string{"version": "v0.1.0", "link": `{"overhead":0.25,"bytes_per_second":12500000}`,
		"link_received": `{"interface":0,"reading":17}`, "source/cell-1": `{"state":"up"}`,
		"certificate/opcua own": "expires 2036-01-01", "configuration": strings.Repeat("x", maxValue)}
	s.Boards = []Board{{Role: "rx", Version: "v0.1.0", Facts: machine.Facts{Name: "rx-1"}}, {Role: "tx"}}
	s.Counters = append(s.Counters, counter.Set{Part: "medium", Values: []counter.Value{{Name: "overruns", Value: 2}}})
	s.Clients = []Client{{User: "ann"}}
	return s
}

// signer is a server that signs, and what it was given to sign.
func signer(s Snapshot) (*Server, *[]string) {
	signed := &[]string{}
	srv := server(s)
	srv.Sign = func(text []byte) (statement.Statement, error) {
		*signed = append(*signed, string(text))
		return statement.Statement{Text: string(text), Signature: statement.Signature{Algorithm: "RS256"}}, nil
	}
	return srv, signed
}

// What is signed is a contract with reports that are filed.
func TestStatementIsTheGoldenOne(t *testing.T) {
	s := signable()
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.FixedZone("", 3600))
	got, err := json.MarshalIndent(stateMeasured(&s, goodNonce, at), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/statement.json"
	if *updateStatement {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(got)+"\n" != string(want) {
		t.Errorf("got %s, want %s, %v", got, want, err)
	}
	for _, not := range []string{"ann", "cell-1", "syslog", "certificate", "auth_failure\""} {
		if strings.Contains(string(got), not) {
			t.Errorf("%q is signed", not)
		}
	}
}

func TestStatementIsSignedForANonce(t *testing.T) {
	srv, signed := signer(signable())
	got := get(t, srv, "GET", "/statement.json?nonce="+goodNonce, nil)
	body := bodyOf(t, got)
	s, err := statement.Decode([]byte(body))
	if got.StatusCode != http.StatusOK || err != nil || len(*signed) != 1 || s.Text != (*signed)[0] {
		t.Fatalf("got %d %s, %v", got.StatusCode, body, err)
	}
	if h, err := statement.ReadHead(s.Text); err != nil || h.Nonce != goodNonce || time.Since(h.Time) > time.Hour {
		t.Errorf("got %+v, %v", h, err)
	}
	if srv.counts.StatementsSigned.Load() != 1 || srv.counts.StatementsRefused.Load() != 0 {
		t.Error("it is not counted")
	}
}

func TestStatementIsRefused(t *testing.T) {
	const path = "/statement.json?nonce="
	none := signable()
	none.Measurement = nil
	large := signable()
	large.Boards[0].LastUpdate = strings.Repeat("x", statement.MaxText)
	for name, c := range map[string]struct {
		snap         Snapshot
		change       func(*Server)
		method, path string
		code         int
		want         string
	}{
		"a role without a key": {signable(), func(s *Server) { s.Sign = nil }, "GET", path + goodNonce, 404,
			"nothing is signed here"},
		"no nonce": {signable(), nil, "GET", "/statement.json", 400,
			"write ?nonce= and the hexadecimal digits of 16 to 32 random bytes, in lower case"},
		"a short nonce":       {signable(), nil, "GET", path + "00", 400, "of 16 to 32"},
		"a nonce of no digit": {signable(), nil, "GET", path + strings.Repeat("x", 32), 400, "hexadecimal"},
		"HEAD":                {signable(), nil, "HEAD", path + goodNonce, 405, ""},
		"POST":                {signable(), nil, "POST", path + goodNonce, 405, "read only: GET\n"},
		"a role without link": {none, nil, "GET", path + goodNonce, 503, "measures no link"},
		"more than is signed": {large, nil, "GET", path + goodNonce, 503, "more than"},
		"a key that fails": {signable(), func(s *Server) {
			s.Sign = func([]byte) (statement.Statement, error) { return statement.Statement{}, errors.New("no key") }
		}, "GET", path + goodNonce, 503, "no key"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, signed := signer(c.snap)
			if c.change != nil {
				c.change(srv)
			}
			got := get(t, srv, c.method, c.path, nil)
			if body := bodyOf(t, got); got.StatusCode != c.code || !strings.Contains(body, c.want) ||
				len(*signed) != 0 {
				t.Errorf("got %d %q, %d signed; want %d %q", got.StatusCode, body, len(*signed), c.code, c.want)
			}
			if allow := got.Header.Get("Allow"); (allow == "GET") != (c.code == http.StatusMethodNotAllowed) {
				t.Errorf("got Allow: %q", allow)
			}
			if n := srv.counts.StatementsRefused.Load(); n != 1 && c.method == "GET" {
				t.Errorf("got %d counted as refused", n)
			}
		})
	}
	srv, _ := signer(signable())
	srv.Verify = func(string, string, netip.Addr) bool { return false }
	if got := get(t, srv, "GET", path+goodNonce, nil); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a login: got %d", got.StatusCode)
	}
}

// One a second is signed, and one that asks all the time leaves every other turn to another.
func TestStatementsHaveTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, signed := signer(signable())
		h := srv.Handler()
		ask := func(from string) (int, string) {
			r := httptest.NewRequest("GET", "/statement.json?nonce="+goodNonce, nil)
			r.RemoteAddr = from + ":1000"
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code, w.Header().Get("Retry-After")
		}
		served := map[string]int{}
		for range 60 { // 15 s
			for _, from := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"} {
				switch code, after := ask(from); {
				case code == http.StatusOK:
					served[from]++
				case code != http.StatusTooManyRequests || after != "1" && after != "2":
					t.Fatalf("got %d, retry after %q", code, after)
				}
			}
			time.Sleep(time.Second / 4) // of the simulated clock
		}
		if len(*signed) != 15 || served["192.0.2.1"] != 8 || served["192.0.2.2"] != 7 {
			t.Errorf("got %d signed, %v; want one a second, in turn", len(*signed), served)
		}
		if got := fmt.Sprint(srv.counts.StatementsSigned.Load(), srv.counts.StatementsRefused.Load()); got != "15 165" {
			t.Errorf("counted %s, want 15 165", got)
		}
	})
}

func TestOneSignatureAtATime(t *testing.T) {
	var signing signLimiter
	now := time.Now()
	wait := signing.run(now, netip.Addr{}, func() {
		if wait := signing.run(now.Add(time.Hour), netip.MustParseAddr("::1"),
			func() { t.Error("two at once") }); wait == 0 {
			t.Error("got no wait while another is signed")
		}
	})
	if wait != 0 {
		t.Errorf("the first waits %s", wait)
	}
}
