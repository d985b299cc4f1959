package client

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// service is a service that this client uses. There are no others.
type service struct {
	name              string
	request, response uint16
}

func getEndpoints() service {
	return service{"GetEndpoints", id.GetEndpointsRequest_Encoding_DefaultBinary,
		id.GetEndpointsResponse_Encoding_DefaultBinary}
}
func createSession() service {
	return service{"CreateSession", id.CreateSessionRequest_Encoding_DefaultBinary,
		id.CreateSessionResponse_Encoding_DefaultBinary}
}
func activateSession() service {
	return service{"ActivateSession", id.ActivateSessionRequest_Encoding_DefaultBinary,
		id.ActivateSessionResponse_Encoding_DefaultBinary}
}
func closeSession() service {
	return service{"CloseSession", id.CloseSessionRequest_Encoding_DefaultBinary,
		id.CloseSessionResponse_Encoding_DefaultBinary}
}
func read() service {
	return service{"Read", id.ReadRequest_Encoding_DefaultBinary, id.ReadResponse_Encoding_DefaultBinary}
}
func browse() service {
	return service{"Browse", id.BrowseRequest_Encoding_DefaultBinary, id.BrowseResponse_Encoding_DefaultBinary}
}
func browseNext() service {
	return service{"BrowseNext", id.BrowseNextRequest_Encoding_DefaultBinary,
		id.BrowseNextResponse_Encoding_DefaultBinary}
}
func createSubscription() service {
	return service{"CreateSubscription", id.CreateSubscriptionRequest_Encoding_DefaultBinary,
		id.CreateSubscriptionResponse_Encoding_DefaultBinary}
}
func deleteSubscriptions() service {
	return service{"DeleteSubscriptions", id.DeleteSubscriptionsRequest_Encoding_DefaultBinary,
		id.DeleteSubscriptionsResponse_Encoding_DefaultBinary}
}
func createMonitoredItems() service {
	return service{"CreateMonitoredItems", id.CreateMonitoredItemsRequest_Encoding_DefaultBinary,
		id.CreateMonitoredItemsResponse_Encoding_DefaultBinary}
}
func deleteMonitoredItems() service {
	return service{"DeleteMonitoredItems", id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary,
		id.DeleteMonitoredItemsResponse_Encoding_DefaultBinary}
}
func publish() service {
	return service{"Publish", id.PublishRequest_Encoding_DefaultBinary, id.PublishResponse_Encoding_DefaultBinary}
}
func republish() service {
	return service{"Republish", id.RepublishRequest_Encoding_DefaultBinary,
		id.RepublishResponse_Encoding_DefaultBinary}
}
func historyRead() service {
	return service{"HistoryRead", id.HistoryReadRequest_Encoding_DefaultBinary,
		id.HistoryReadResponse_Encoding_DefaultBinary}
}

// conditionRefresh is a Call, and the only one.
func conditionRefresh() service {
	return service{"ConditionRefresh", id.CallRequest_Encoding_DefaultBinary,
		id.CallResponse_Encoding_DefaultBinary}
}

// apart reports whether the time that a service takes says nothing of the others: Publish
// waits for a notification, and HistoryRead for what may lie on a disk.
func (s service) apart() bool { return s == publish() || s == historyRead() }

// link sends requests over one channel, for one session or for none.
type link struct {
	ch         *channel.Client
	token      []byte        // a NodeId
	timeout    time.Duration // for an answer, at least
	pace       *Pace
	handle     atomic.Uint32
	started    time.Time
	lastAnswer atomic.Int64 // when the server last answered, since started
	lastSlow   atomic.Int64 // when it was last seen to take long for something, since started

	mu      sync.Mutex
	waiting map[uint32]waiting // requests without an answer yet, but for Publish
}

type waiting struct{ since, until time.Time }

func newLink(ch *channel.Client, cfg Config) *link {
	return &link{ch: ch, token: []byte{0, 0}, timeout: cfg.Timeout, pace: cfg.Pace, started: time.Now(),
		waiting: map[uint32]waiting{}}
}

// await records a request that has to be answered before a deadline, until the function
// that it returns is called.
func (l *link) await(handle uint32, timeout time.Duration) (answered func()) {
	began := time.Now()
	l.mu.Lock()
	l.waiting[handle] = waiting{began, began.Add(timeout)}
	l.mu.Unlock()
	return func() {
		if time.Since(began) > slowResponse {
			l.lastSlow.Store(int64(time.Since(l.started)))
		}
		l.mu.Lock()
		delete(l.waiting, handle)
		l.mu.Unlock()
	}
}

// hasPending reports whether a request waits whose time-out has not passed: the server
// may be working on it.
func (l *link) hasPending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		if time.Now().Before(w.until) {
			return true
		}
	}
	return false
}

// promptFor is for how long the server has answered every request quickly.
func (l *link) promptFor() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.waiting {
		if time.Since(w.since) > slowResponse {
			return 0
		}
	}
	return time.Since(l.started) - time.Duration(l.lastSlow.Load())
}

// silentFor is for how long the server has not answered any request.
func (l *link) silentFor() time.Duration {
	return time.Since(l.started) - time.Duration(l.lastAnswer.Load())
}

// answer is a response behind its header. Its cursor aliases body.
type answer struct {
	body []byte
	rawvalue.Cursor
}

// do sends a request of which payload appends all that follows the header. timeout is
// 0 for what the service takes with this server; those that are apart have their own.
func (l *link) do(ctx context.Context, s service, timeout time.Duration, payload func([]byte) []byte) (answer, error) {
	handle := l.handle.Add(1)
	if timeout == 0 {
		timeout = l.pace.timeout(s.name, l.timeout)
	}
	if s != publish() {
		defer l.await(handle, timeout)()
	}
	b := uabinary.AppendTypeID(make([]byte, 0, 512), uint32(s.request))
	body, err := l.exchange(ctx, s, timeout, handle, payload(l.appendHeader(b, handle, timeout)))
	if err != nil {
		return answer{}, err
	}
	_, rest, err := channel.PeekResponse(body)
	if err != nil {
		return answer{}, wrapError(s.name, err)
	}
	return answer{body, rawvalue.NewCursor(rest, rawvalue.Limits{})}, nil
}

// call does the same with the library's types, for small messages.
func (l *link) call(ctx context.Context, s service, req ua.Request) (any, error) {
	handle := l.handle.Add(1)
	timeout := l.pace.timeout(s.name, l.timeout)
	defer l.await(handle, timeout)()
	token := new(ua.NodeID)
	if _, err := token.Decode(l.token); err != nil {
		return nil, wrapError(s.name, err)
	}
	req.SetHeader(&ua.RequestHeader{
		AuthenticationToken: token, Timestamp: time.Now(), RequestHandle: handle,
		TimeoutHint: milliseconds(timeout), AdditionalHeader: ua.NewExtensionObject(nil),
	})
	b, err := channel.Encode(req)
	if err != nil {
		return nil, wrapError(s.name, err)
	}
	body, err := l.exchange(ctx, s, timeout, handle, b)
	if err != nil {
		return nil, err
	}
	resp, err := channel.Decode(body)
	return resp, wrapError(s.name, err)
}

// exchange sends a request and returns a response whose ServiceResult is not Bad.
func (l *link) exchange(
	ctx context.Context, s service, timeout time.Duration, handle uint32, request []byte,
) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	body, err := l.ch.Do(limited, request)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		if !s.apart() {
			l.pace.timedOut(timeout)
		}
		return nil, &Error{Service: s.name, Code: ua.StatusBadTimeout,
			Reason: "the server did not answer within " + timeout.String()}
	case err != nil:
		return nil, wrapError(s.name, err)
	}
	l.lastAnswer.Store(int64(time.Since(l.started)))
	if !s.apart() {
		l.pace.took(s.name, l.timeout, time.Since(began))
	}
	head, _, err := channel.PeekResponse(body)
	switch {
	case err != nil:
		return nil, wrapError(s.name, err)
	case head.Handle != handle:
		return nil, &Error{Service: s.name, Code: ua.StatusBadDecodingError,
			Reason: "the answer is to another request"}
	case isBad(head.Result):
		return nil, &Error{Service: s.name, Code: head.Result, Reason: advice(head.Result)}
	case head.TypeID != uint32(s.response):
		return nil, &Error{Service: s.name, Code: ua.StatusBadDecodingError,
			Reason: "the answer is of another service"}
	}
	return body, nil
}

// appendHeader appends a RequestHeader (OPC 10000-4 §7.33).
func (l *link) appendHeader(b []byte, handle uint32, timeout time.Duration) []byte {
	b = append(b, l.token...)
	b = uabinary.AppendDateTime(b, time.Now())
	b = appendUint32(b, handle)
	b = appendUint32(b, 0)          // no diagnostics
	b = appendUint32(b, nullLength) // no audit entry
	b = appendUint32(b, milliseconds(timeout))
	return append(b, 0, 0, 0) // no additional header
}

const nullLength = math.MaxUint32

func appendUint32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

func appendFloat64(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendBytes(b, v []byte) []byte {
	if v == nil {
		return appendUint32(b, nullLength)
	}
	return append(appendUint32(b, uint32(len(v))), v...)
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Milliseconds(), 0), math.MaxUint32))
}
