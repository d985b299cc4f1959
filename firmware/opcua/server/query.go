package server

import (
	"crypto/x509"
	"encoding/binary"
	"fmt"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/opcua/uabinary"
)

// query is a request that is being handled.
type query struct {
	conn        *conn
	server      *Server
	head        channel.RequestHead
	request     uint32
	body        []byte // nil once the request is decoded, except of HistoryRead
	session     *session
	userChain   []*x509.Certificate // of the user, if a certificate identifies it
	client      subscription.Client // the session's, as it was when the request arrived
	admit       func()              // waits for admission, which release ends
	release     func()
	viewMembers *viewMembers // of the View that it browses
}

// handle answers the request; false ends the connection.
func (q *query) handle() bool {
	if q.head.TypeID == id.CloseSecureChannelRequest_Encoding_DefaultBinary {
		return false
	}
	sv, ok := services[q.head.TypeID]
	if !ok {
		q.fault(ua.StatusBadServiceUnsupported)
		return true
	}
	if sv.session {
		if code := q.authenticate(); code != ua.StatusOK {
			q.refuse(code, "this service needs an activated session on this channel")
			return true
		}
		q.session.counters[q.head.TypeID].total.Add(1)
	}
	if sv.unsupported {
		q.refuse(ua.StatusBadServiceUnsupported, q.server.cfg.Refusal)
		return true
	}
	size := len(q.body)
	q.admit = func() { q.release = q.server.admission.acquire(size, sv) }
	q.admit()
	req, err := channel.DecodeRequest(q.body) // does not panic
	if sv.slow {
		q.release()
	} else {
		defer func() { q.release() }()
	}
	switch {
	case err != nil:
		q.server.faults.Add(1)
		q.fault(ua.StatusBadDecodingError)
		return true
	case sv.session && q.session.hasEnded(): // while it waited for admission
		q.fault(ua.StatusBadSessionClosed)
		return true
	}
	if !sv.scans {
		q.body = nil // a Publish is queued for long
	}
	sv.serve(q, req)
	return true
}

// header returns the header of a response that is Good.
func (q *query) header() *ua.ResponseHeader {
	return &ua.ResponseHeader{
		Timestamp: q.server.cfg.Now(), RequestHandle: q.head.Handle, ServiceDiagnostics: &ua.DiagnosticInfo{},
		StringTable:      []string{},
		AdditionalHeader: ua.NewExtensionObject(nil),
	}
}

// reply sends a response of the library's types.
func (q *query) reply(resp any) {
	body, err := channel.Encode(resp)
	if err != nil {
		q.server.cfg.Log.Error("response not encoded", "error", err, "type", fmt.Sprintf("%T", resp))
		q.fault(ua.StatusBadEncodingError)
		return
	}
	q.respond(body)
}

// respond queues a response, and ends a connection whose client does not receive any.
func (q *query) respond(body []byte) {
	c := q.conn
	if q.session != nil && binary.LittleEndian.Uint16(body[2:]) == id.ServiceFault_Encoding_DefaultBinary {
		q.session.counters[q.head.TypeID].failed.Add(1)
	}
	if c.tcp.Reserve(len(body)) != nil { // Republish returns a lost notification
		body = channel.Fault(q.head.Handle, ua.StatusBadOutOfMemory, c.server.cfg.Now())
		_ = c.tcp.Reserve(len(body)) // within what each connection is guaranteed
	}
	q.conn.enqueue(response{request: q.request, handle: q.head.Handle, body: body})
}

func (q *query) fault(code ua.StatusCode) {
	q.countRefusal(code)
	q.respond(channel.Fault(q.head.Handle, code, q.server.cfg.Now()))
}

// rawResponse returns the type and header of a response that is encoded by hand.
func (q *query) rawResponse(typeID uint32) []byte {
	return uabinary.AppendResponseHeader(nil, typeID, q.head.Handle, ua.StatusOK, q.server.cfg.Now())
}

// appendNoDiagnostics appends a null DiagnosticInfos, the last field of a response.
func appendNoDiagnostics(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }
