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

// closeWait is how long Close waits for the response to CloseSession.
const closeWait = 2 * time.Second

// Session is an activated session. Its methods may be called at the same time.
type Session struct {
	*link
	cfg    Config
	ctx    context.Context // the session's life; its cause is why it ended
	cancel context.CancelCauseFunc
	work   sync.WaitGroup

	endpoint       *ua.EndpointDescription
	created        atomic.Bool // at the server
	limits         Limits
	info           Server
	namespaces     []string
	batches        *batches
	publisher      publisher
	closeOnce      sync.Once
	closedAtServer chan struct{} // closed once CloseSession has ended, with or without a response
}

func newSession(cfg Config, l *link) *Session {
	s := &Session{link: l, cfg: cfg, batches: &cfg.Pace.batches, closedAtServer: make(chan struct{})}
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
		s.closeAtServer()
	})
	return s
}

func lost(err error) error {
	var e *Error
	err = wrapError("connection", err)
	if errors.As(err, &e) && advice(e.Code) == "" {
		e.Reason += "; connect again"
	}
	return err
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Err returns why the session ended, nil while it has not.
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
		s.closeAtServer()
		select {
		case <-s.closedAtServer:
		case <-time.After(min(closeWait, s.timeout)):
		}
	}
	s.end(why)
	s.work.Wait()
}

// closeAtServer ends the session at the server and then closes the channel. Nothing waits
// for a server that is slow with it: what matters is that no session with its items stays
// at the server.
func (s *Session) closeAtServer() {
	s.closeOnce.Do(func() {
		go func() {
			if s.created.Load() && s.ch.Err() == nil {
				_, _ = s.link.call(context.Background(), closeSession(),
					&ua.CloseSessionRequest{DeleteSubscriptions: true})
			}
			close(s.closedAtServer)
			<-s.ctx.Done()
			_ = s.ch.Close()
		}()
	})
}

// end ends the session. The first reason is kept.
func (s *Session) end(err error) { s.cancel(err) }

// do is link.do, but for what ends the session.
func (s *Session) do(ctx context.Context, sv service, timeout time.Duration, payload func([]byte) []byte) (answer,
	error) {
	if ended := s.Err(); ended != nil {
		return answer{}, ended
	}
	a, err := s.link.do(ctx, sv, timeout, payload)
	return a, s.endOn(ctx, err)
}

func (s *Session) call(ctx context.Context, sv service, req ua.Request) (any, error) {
	if ended := s.Err(); ended != nil {
		return nil, ended
	}
	resp, err := s.link.call(ctx, sv, req)
	return resp, s.endOn(ctx, err)
}

// endOn ends the session for an error that means that it has ended at the server.
func (s *Session) endOn(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	select {
	case <-s.ch.Done():
		s.end(lost(s.ch.Err()))
	default:
	}
	switch codeOf(err) {
	case ua.StatusBadSessionIDInvalid, ua.StatusBadSessionClosed, ua.StatusBadSessionNotActivated,
		ua.StatusBadSecureChannelClosed,
		ua.StatusBadSecureChannelIDInvalid, ua.StatusBadServerHalted, ua.StatusBadShutdown,
		ua.StatusBadSecurityChecksFailed:
		s.end(err)
	}
	if ended := s.Err(); ended != nil {
		return ended
	}
	return err
}

// divisible reports whether smaller requests may succeed where one with n operations
// failed: also when it took the server too long, unless that answers nothing at all. If
// their number was the fault, later requests have fewer.
func (s *Session) divisible(err error, b *batch, n int) bool {
	slow := errors.Is(err, ua.StatusBadTimeout)
	if slow {
		b.slow(n)
	}
	slow = slow && s.silentFor() < s.timeout
	if s.ctx.Err() != nil || !mayDivide(err) && !slow {
		return false
	}
	if errors.Is(err, ua.StatusBadTooManyOperations) {
		b.refused(n)
	}
	if slow || errors.Is(err, ua.StatusBadTooManyOperations) {
		s.cfg.Log.Info("sending fewer operations in a request", "error", err, "operations", b.size())
	}
	return true
}

// keepAliveEvery reads the server's state until the session ends, often enough to keep
// the session and to notice in time that the server does not answer any more.
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
// before the next Read of its state.
func (s *Session) checkServer(period time.Duration) {
	if s.pace.slowReads() && s.hasPending() { // the response to that shows as well that it is alive
		return
	}
	var state, left int64
	r := reading{s: s}
	limit := s.pace.timeout(read().name, s.timeout)
	err := r.once(s.ctx, []ReadItem{
		{rawvalue.NodeID{Number: id.Server_ServerStatus_State}, ua.AttributeIDValue},
		{rawvalue.NodeID{Number: id.Server_ServerStatus_SecondsTillShutdown}, ua.AttributeIDValue},
	})
	if err == nil {
		state, _ = integer(r.values[0].Value)
		left, _ = integer(r.values[1].Value)
	}
	switch {
	case errors.Is(err, ua.StatusBadTimeout) && s.silentFor() >= limit && !s.hasPending():
		s.end(&Error{Service: "session", Code: ua.StatusBadTimeout,
			Reason: "the server has not answered anything for " +
				s.silentFor().Round(time.Millisecond).String() + ": connect again"})
	case err == nil && ua.ServerState(state) == ua.ServerStateShutdown && time.Duration(left)*time.Second <= period:
		s.end(&Error{Service: "session", Code: ua.StatusBadShutdown, Reason: advice(ua.StatusBadShutdown)})
	}
}
