package status

import (
	"errors"
	"io"
	"net/http"
	"time"

	"heliograph/firmware/platform/release"
)

// Our own bounds on uploads. One that falls behind the slowest rate by more than
// the grace has lost its turn.
const (
	SlowestUpdate = 100 << 10 // bytes a second
	updateGrace   = 10 * time.Second
	maxUpdate     = 160 << 20 // bytes: both parts of a release, and room
	lingerTime    = 2 * time.Second
	maxLinger     = 16 << 20 // bytes
)

// Updates is who keeps an update for its installation.
type Updates interface {
	// Receive reads a file of size bytes, -1 when that is not known, and returns when it is
	// kept. It refuses with a Refusal, before it has read more than it needs for that.
	Receive(from io.Reader, size int64) error
	Running() *release.Running // nil: not known
}

// Refusal is why an update is refused, with the HTTP status that says so.
type Refusal struct {
	Status int
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Reason }

// update takes a file. Only a signed one is kept.
func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	err := s.takeUpdate(w, r)
	if err == nil {
		s.counts.UpdatesTaken.Add(1)
		s.audit("update_arrived", r, "an update has arrived")
		plain(w, http.StatusAccepted, "The update has arrived. It is installed and tried now; /status.json says "+
			"what became of it.\n")
		return
	}
	s.counts.UpdatesRefused.Add(1)
	s.audit("update_refused", r, "an update was refused: "+err.Error())
	code := http.StatusInternalServerError
	var refusal *Refusal
	if errors.As(err, &refusal) {
		code = refusal.Status
	}
	w.Header().Set("Connection", "close") // what is left of the body stays unread
	plain(w, code, err.Error()+"\n")
	c := http.NewResponseController(w)
	if c.Flush() == nil && c.SetReadDeadline(time.Now().Add(lingerTime)) == nil {
		// so that a client that still sends reads the answer
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxLinger))
	}
}

func (s *Server) takeUpdate(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength > maxUpdate {
		return &Refusal{http.StatusRequestEntityTooLarge, "update: larger than any release"}
	}
	c := http.NewResponseController(w)
	body := &paced{from: http.MaxBytesReader(w, r.Body, maxUpdate), deadline: func(t time.Time) error {
		return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t.Add(requestTimeout)))
	}, began: time.Now()}
	return s.Updates.Receive(body, r.ContentLength)
}

// paced reads a body that keeps to the slowest rate; what came early is not saved up.
type paced struct {
	from     io.Reader
	deadline func(time.Time) error
	began    time.Time // moved on by what came
}

// Read implements io.Reader.
func (p *paced) Read(b []byte) (int, error) {
	if err := p.deadline(p.began.Add(updateGrace)); err != nil {
		return 0, err
	}
	n, err := p.from.Read(b)
	p.began = p.began.Add(time.Duration(n) * time.Second / SlowestUpdate)
	if now := time.Now(); p.began.After(now) {
		p.began = now
	}
	return n, err
}
