package status

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"heliograph/firmware/platform/fairshare"
	"heliograph/firmware/platform/trend"
)

// Our own bounds on /events.
const (
	maxStreams   = 16
	streamEvery  = time.Second
	streamShared = streamEvery / 2 // for how long an event is sent to further clients
	streamRetry  = 3 * time.Second // before a browser connects again
	streamFor    = time.Hour       // then it has to, and to give its password again
	writeTimeout = requestTimeout  // of one event
)

// streams are the clients of /events. All are sent the same events.
type streams struct {
	open *fairshare.Table[*stream]

	mu     sync.Mutex
	number uint64 // of the newest event
	made   time.Time
	event  []byte

	page livePage
}

type stream struct{ end context.CancelFunc }

func newStreams() *streams { return &streams{open: fairshare.New[*stream](maxStreams)} }

// newest returns the newest event, which is made at most twice a second.
func (s *streams) newest(now time.Time, snapshot func() Snapshot) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.event != nil && now.Sub(s.made) < streamShared {
		return s.event, nil
	}
	body, err := json.Marshal(snapshot())
	if err != nil {
		return nil, err
	}
	s.number++
	s.made, s.event = now, fmt.Appendf(nil, "id: %d\nevent: status\ndata: %s\n\n", s.number, body)
	return s.event, nil
}

// events sends the snapshot each second, as server-sent events (HTML Living Standard
// section 9.2). A client that takes no event in time, and the longest connected of the
// address that has most, lose their turn.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), streamFor)
	defer cancel()
	if s.ending != nil { // the request's own context does not end with the server
		defer context.AfterFunc(s.ending, cancel)()
	}
	own := &stream{cancel}
	if evicted, full := s.streams.open.Add(own, remoteIP(r.RemoteAddr), time.Now()); full {
		evicted.end()
		s.counts.StreamsEvicted.Add(1)
	}
	defer s.streams.open.Remove(own)
	c := http.NewResponseController(w)
	tick := time.NewTicker(streamEvery)
	defer tick.Stop()
	var page *pageStream // of a page that is open, nil for a script
	if r.URL.Query().Has("page") {
		page = &pageStream{}
	}
	next := fmt.Appendf(nil, "retry: %d\n\n", streamRetry.Milliseconds())
	for {
		event, err := s.nextEvent(page)
		if err != nil {
			s.Log.Error("status: encoding", "error", err)
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := w.Write(append(next, event...)); err != nil || c.Flush() != nil {
			return // the client has gone, or takes nothing
		}
		next = nil
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// nextEvent returns what a client is sent now: the snapshot, or the parts of the page
// that have changed.
func (s *Server) nextEvent(page *pageStream) ([]byte, error) {
	if page == nil {
		return s.streams.newest(time.Now(), s.snapshot)
	}
	newest, err := s.streams.page.newest(time.Now(), s.snapshot)
	if err != nil {
		return nil, err
	}
	return page.next(newest)
}

// history answers how the figures went over a span.
func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	if s.History == nil {
		plain(w, http.StatusNotFound, "no history is kept here\n")
		return
	}
	span := r.URL.Query().Get("span")
	if span == "" {
		span = trend.Spans()[0]
	}
	answer, ok := s.History(span)
	if !ok {
		plain(w, http.StatusBadRequest, "span must be "+strings.Join(trend.Spans(), " or ")+"\n")
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		s.Log.Error("status: encoding", "error", err)
		plain(w, http.StatusInternalServerError, "the history does not encode\n")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // a client that has gone
}
