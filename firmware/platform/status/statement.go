package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/statement"
)

// Our own bounds on signatures. One takes a Raspberry Pi some milliseconds, with a key of 4096 bits on the
// slowest some hundred. The address that had the last turn waits twice as long, so that one
// that asks all the time leaves every other turn to somebody else.
const (
	signEvery = time.Second
	signAgain = 2 * time.Second
	maxSaid   = 32  // entries of what TX says of itself
	maxValue  = 800 // bytes of each
)

// Statement is what a receiver measures of its link at one moment, with a nonce. Its JSON
// form is signed. It has the names and forms of /status.json, so that the same program reads both, and of
// those what an acceptance takes: a report that is filed has no names of clients, channels
// and peers.
type Statement struct {
	Format        int               `json:"format"`
	Nonce         string            `json:"nonce"` // of who asks
	Time          time.Time         `json:"time"`  // by this machine's clock
	Role          string            `json:"role"`
	Pair          string            `json:"pair"`
	Version       string            `json:"version"`
	UptimeSeconds float64           `json:"uptime_seconds"`
	Link          Link              `json:"link"`
	Measurement   *Measurement      `json:"measurement"`
	Transmitter   map[string]string `json:"transmitter"` // what TX says of itself, but for its channels and certificates
	Boards        []Board           `json:"boards"`      // this one
	Counters      []counter.Set     `json:"counters"`    // of the link's medium and code
}

// stateMeasured returns what of a snapshot is signed.
func stateMeasured(snap *Snapshot, nonce string, now time.Time) Statement {
	s := Statement{Format: statement.Format, Nonce: nonce, Time: now.UTC(), Role: snap.Role, Pair: snap.Pair,
		Version: snap.Version, UptimeSeconds: snap.UptimeSeconds, Link: snap.Link, Measurement: snap.Measurement,
		Transmitter: map[string]string{}, Boards: []Board{}, Counters: []counter.Set{}}
	for _, key := range slices.Sorted(maps.Keys(snap.Transmitter)) {
		value := snap.Transmitter[key]
		if !strings.Contains(key, "/") && len(key)+len(value) <= maxValue && len(s.Transmitter) < maxSaid {
			s.Transmitter[key] = value
		}
	}
	for _, b := range snap.Boards {
		if b.Role == snap.Role {
			s.Boards = append(s.Boards, b)
		}
	}
	for _, c := range snap.Counters {
		if c.Part == "codeword" || c.Part == "medium" {
			s.Counters = append(s.Counters, c)
		}
	}
	return s
}

// signLimiter bounds how often clients have something signed.
type signLimiter struct {
	mu   sync.Mutex
	last time.Time
	of   netip.Addr // who had it signed
}

// run runs sign and returns 0, or returns how long the address has to wait.
func (l *signLimiter) run(now time.Time, from netip.Addr, sign func()) (wait time.Duration) {
	if !l.mu.TryLock() {
		return signEvery // another is signed just now
	}
	defer l.mu.Unlock()
	every := signEvery
	if from == l.of {
		every = signAgain
	}
	if wait := every - now.Sub(l.last); !l.last.IsZero() && wait > 0 {
		return wait
	}
	l.last, l.of = now, from
	sign()
	return 0
}

// statementPath takes no HEAD: an answer that no client reads would be signed.
const statementPath = "/statement.json"

// statement answers with a statement for the nonce of the query.
func (s *Server) statement(w http.ResponseWriter, r *http.Request) {
	refuse := func(code int, text string) {
		s.counts.StatementsRefused.Add(1)
		plain(w, code, text+"\n")
	}
	nonce := r.URL.Query().Get("nonce")
	switch err := statement.CheckNonce(nonce); {
	case s.Sign == nil:
		refuse(http.StatusNotFound, "nothing is signed here: heliorx signs what it measures of the link")
		return
	case err != nil:
		refuse(http.StatusBadRequest, fmt.Sprintf("write ?nonce= and the hexadecimal digits of %d to %d random bytes, "+
			"in lower case", statement.LeastNonce, statement.MostNonce))
		return
	}
	var body []byte
	var err error
	now := time.Now()
	if wait := s.signing.run(now, remoteIP(r.RemoteAddr), func() { body, err = s.signed(nonce, now) }); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		refuse(http.StatusTooManyRequests, "one statement a second is signed, for all clients together: ask again")
		return
	}
	if err != nil {
		s.Log.Error("status: signing a statement", "error", err)
		refuse(http.StatusServiceUnavailable, "no statement could be signed: "+err.Error())
		return
	}
	s.counts.StatementsSigned.Add(1)
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that has gone
}

// signed returns the answer for a nonce.
func (s *Server) signed(nonce string, now time.Time) ([]byte, error) {
	snap := s.snapshot()
	if snap.Measurement == nil {
		return nil, errors.New("this role measures no link")
	}
	text, err := json.Marshal(stateMeasured(&snap, nonce, now))
	if err != nil {
		return nil, err
	}
	if len(text) > statement.MaxText {
		return nil, fmt.Errorf("the statement has %d bytes, more than %d", len(text), statement.MaxText)
	}
	out, err := s.Sign(text)
	if err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
