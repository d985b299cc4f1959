package client

import (
	"context"
	"errors"
	"sync"
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

	limits     Limits
	info       Server
	namespaces []string
	batches    struct{ read, browse, monitor batch }
	publisher  publisher
}

func newSession(cfg Config, l *link) *Session {
	s := &Session{link: l, cfg: cfg}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.publisher.subscriptions = map[uint32]*Subscription{}
	s.batches.read.set(maxRead, 0)
	s.batches.browse.set(maxBrowse, 0)
	s.batches.monitor.set(maxMonitor, 0)
	s.work.Go(func() {
		select {
		case <-l.ch.Done():
			s.end(lost(l.ch.Err()))
		case <-s.ctx.Done():
		}
		_ = l.ch.Close()
	})
	return s
}

func lost(err error) error {
	code := codeOf(err)
	reason := advice(code)
	if reason == "" {
		reason = err.Error() + ": connect again"
	}
	return &Error{Service: "connection", Code: code, Reason: reason}
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
func (s *Session) Close() {
	if s.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(s.ctx, min(closing, s.timeout))
		_, _ = s.link.call(ctx, closeSession(), &ua.CloseSessionRequest{DeleteSubscriptions: true})
		cancel()
	}
	s.end(ErrClosed)
	s.work.Wait()
}

// end ends the session for the first reason that is given.
func (s *Session) end(err error) { s.cancel(err) }

// do is link.do, but for what ends the session.
func (s *Session) do(ctx context.Context, sv service, timeout time.Duration, payload func([]byte) []byte) (answer, error) {
	a, err := s.link.do(ctx, sv, timeout, payload)
	return a, s.judge(ctx, err)
}

func (s *Session) call(ctx context.Context, sv service, req ua.Request) (any, error) {
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
	var state, left int64
	err := s.Read(s.ctx, []ReadItem{
		{rawvalue.NodeID{Number: id.Server_ServerStatus_State}, ua.AttributeIDValue},
		{rawvalue.NodeID{Number: id.Server_ServerStatus_SecondsTillShutdown}, ua.AttributeIDValue},
	}, 0, func(i int, dv rawvalue.DataValue) {
		n, _ := integer(dv.Value)
		if i == 0 {
			state = n
		} else {
			left = n
		}
	})
	switch {
	case errors.Is(err, ua.StatusBadTimeout) && s.silence() >= s.timeout:
		s.end(&Error{Service: "session", Code: ua.StatusBadTimeout, Reason: "the server has not answered anything for " + s.silence().Round(time.Millisecond).String() + ": connect again"})
	case err == nil && ua.ServerState(state) == ua.ServerStateShutdown && time.Duration(left)*time.Second <= period:
		s.end(&Error{Service: "session", Code: ua.StatusBadShutdown, Reason: advice(ua.StatusBadShutdown)})
	}
}
