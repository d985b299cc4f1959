package client

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// closing is how long Close waits for the server to hear of it.
const closing = 2 * time.Second

// Session is an activated session. Its methods may be called at the same time.
type Session struct {
	*link
	cfg    Config
	ctx    context.Context // the session's life; its cause is why it ended
	cancel context.CancelCauseFunc
	work   sync.WaitGroup

	endpoint   *ua.EndpointDescription
	created    atomic.Bool // at the server
	limits     Limits
	info       Server
	namespaces []string
	batches    *batches
	publisher  publisher
	parting    sync.Once
	parted     chan struct{} // closed when the server has heard of the end, or will not
}

func newSession(cfg Config, l *link) *Session {
	s := &Session{link: l, cfg: cfg, batches: &cfg.Pace.batches, parted: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.publisher.subscriptions = map[uint32]*Subscription{}
	s.batches.read.limit(maxRead, 0)
	s.batches.browse.limit(maxBrowse, 0)
	s.batches.monitor.limit(maxMonitor, 0)
	s.work.Go(func() {
		select {
		case <-l.ch.Done():
			s.end(lost(l.ch.Err()))
		case <-s.ctx.Done():
		}
		s.part()
	})
	return s
}

func lost(err error) error {
	var e *Error
	err = failed("connection", err)
	if errors.As(err, &e) && advice(e.Code) == "" {
		e.Reason += "; connect again"
	}
	return err
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Err tells why the session ended, nil while it has not.
func (s *Session) Err() error {
	if s.ctx.Err() == nil {
		return nil
	}
	return context.Cause(s.ctx)
}

// Close ends the session and its subscriptions, and waits until no handler runs any
// more: handlers must not call it.
func (s *Session) Close() { s.finish(ErrClosed) }

func (s *Session) finish(why error) {
	if s.ctx.Err() == nil {
		s.part()
		select {
		case <-s.parted:
		case <-time.After(min(closing, s.timeout)):
		}
	}
	s.end(why)
	s.work.Wait()
}

// part ends the session at the server and then closes the channel. A server that is
// slow hears of it in the time that it takes, which nothing here waits for: a session
// that is given up does not stay behind with its items.
func (s *Session) part() {
	s.parting.Do(func() {
		go func() {
			if s.created.Load() && s.ch.Err() == nil {
				_, _ = s.link.call(context.Background(), closeSession(), &ua.CloseSessionRequest{DeleteSubscriptions: true})
			}
			close(s.parted)
			<-s.ctx.Done()
			_ = s.ch.Close()
		}()
	})
}

// end ends the session for the first reason that is given.
func (s *Session) end(err error) { s.cancel(err) }

// do is link.do, but for what ends the session.
func (s *Session) do(ctx context.Context, sv service, timeout time.Duration, payload func([]byte) []byte) (answer, error) {
	if ended := s.Err(); ended != nil {
		return answer{}, ended
	}
	a, err := s.link.do(ctx, sv, timeout, payload)
	return a, s.judge(ctx, err)
}

func (s *Session) call(ctx context.Context, sv service, req ua.Request) (any, error) {
	if ended := s.Err(); ended != nil {
		return nil, ended
	}
	resp, err := s.link.call(ctx, sv, req)
	return resp, s.judge(ctx, err)
}

// judge ends the session for an error that says that it is over.
func (s *Session) judge(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-s.ch.Done():
		s.end(lost(s.ch.Err()))
	default:
	}
	switch codeOf(err) {
	case ua.StatusBadSessionIDInvalid, ua.StatusBadSessionClosed, ua.StatusBadSessionNotActivated, ua.StatusBadSecureChannelClosed,
		ua.StatusBadSecureChannelIDInvalid, ua.StatusBadServerHalted, ua.StatusBadShutdown, ua.StatusBadSecurityChecksFailed:
		s.end(err)
	}
	if ended := s.Err(); ended != nil {
		return ended
	}
	return err
}

// divides tells whether what a request could not do may be had with smaller ones: also
// when it took the server too long, unless that answers nothing at all. n is how many
// operations there were; fewer go together from now on if their number was the fault.
func (s *Session) divides(err error, b *batch, n int) bool {
	slow := errors.Is(err, ua.StatusBadTimeout)
	if slow {
		b.slow(n)
	}
	slow = slow && s.silence() < s.timeout
	if s.ctx.Err() != nil || !splits(err) && !slow {
		return false
	}
	if errors.Is(err, ua.StatusBadTooManyOperations) {
		b.refused(n)
	}
	if slow || errors.Is(err, ua.StatusBadTooManyOperations) {
		s.cfg.Log.Info("opcua client: the server takes fewer operations", "because", err, "operations", b.size())
	}
	return true
}

// keepAliveEvery looks at the server's state for as long as the session lasts, often
// enough to keep it and to see in time that the server does not answer any more.
func (s *Session) keepAliveEvery(session time.Duration) {
	s.work.Go(func() {
		ticker := time.NewTicker(min(s.timeout/2, session/3))
		defer ticker.Stop()
		for s.ctx.Err() == nil {
			select {
			case <-ticker.C:
				s.checkServer(min(s.timeout/2, session/3))
			case <-s.ctx.Done():
			}
		}
	})
}

// checkServer ends the session with a server that is silent, or about to go down
// before the next look at it.
func (s *Session) checkServer(period time.Duration) {
	if s.pace.slowReads() && s.occupied() { // it has enough to do, and an answer to that shows as much
		return
	}
	var state, left int64
	r := reading{s: s}
	patience := s.pace.limit(read().name, s.timeout)
	err := r.once(s.ctx, []ReadItem{
		{rawvalue.NodeID{Number: id.Server_ServerStatus_State}, ua.AttributeIDValue},
		{rawvalue.NodeID{Number: id.Server_ServerStatus_SecondsTillShutdown}, ua.AttributeIDValue},
	})
	if err == nil {
		state, _ = integer(r.values[0].Value)
		left, _ = integer(r.values[1].Value)
	}
	switch {
	case errors.Is(err, ua.StatusBadTimeout) && s.silence() >= patience && !s.occupied():
		s.end(&Error{Service: "session", Code: ua.StatusBadTimeout, Reason: "the server has not answered anything for " + s.silence().Round(time.Millisecond).String() + ": connect again"})
	case err == nil && ua.ServerState(state) == ua.ServerStateShutdown && time.Duration(left)*time.Second <= period:
		s.end(&Error{Service: "session", Code: ua.StatusBadShutdown, Reason: advice(ua.StatusBadShutdown)})
	}
}
