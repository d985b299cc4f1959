package channel

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// RequestHead is what a server needs of a request before it decodes it: enough to
// answer a ServiceFault that the client can match.
type RequestHead struct {
	TypeID            uint32 // of the request's binary encoding, 0 if not in namespace 0
	Token             []byte // the authentication token's NodeId as it was encoded
	Handle            uint32
	ReturnDiagnostics uint32
	TimeoutHint       time.Duration
}

// PeekRequest reads a request's type and header and returns what follows. It
// allocates nothing; Token and rest point into body.
func PeekRequest(body []byte) (head RequestHead, rest []byte, err error) {
	r := reader{b: body}
	head.TypeID = r.nodeID()
	token := r.b
	r.nodeID()
	head.Token = token[:len(token)-len(r.b)]
	r.skip(8) // timestamp
	head.Handle = r.uint32()
	head.ReturnDiagnostics = r.uint32()
	r.bytes() // audit entry
	head.TimeoutHint = time.Duration(r.uint32()) * time.Millisecond
	r.extensionObject()
	if r.bad {
		return RequestHead{}, nil, fail(ua.StatusBadDecodingError, "request header cannot be decoded")
	}
	return head, r.b, nil
}

// ResponseHead is what a client needs of a response before it decodes it.
type ResponseHead struct {
	TypeID uint32
	Handle uint32
	Result ua.StatusCode
}

// PeekResponse reads a response's type and header and returns what follows.
func PeekResponse(body []byte) (head ResponseHead, rest []byte, err error) {
	r := reader{b: body}
	head.TypeID = r.nodeID()
	c := rawvalue.NewCursor(r.b, rawvalue.Limits{Depth: maxDiagnosticDepth})
	h := c.ResponseHeader()
	if r.bad || c.Err() != nil {
		return ResponseHead{}, nil, fail(ua.StatusBadDecodingError, "response header cannot be decoded")
	}
	head.Handle, head.Result = h.RequestHandle, h.ServiceResult
	return head, c.Rest(), nil
}

// Encode encodes a request or response of the library with its type in front.
func Encode(v any) ([]byte, error) {
	number := ua.ServiceTypeID(v)
	if number == 0 {
		return nil, fmt.Errorf("opcua channel: %T is no service message", v)
	}
	b := uabinary.AppendTypeID(nil, uint32(number))
	body, err := ua.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("opcua channel: encoding %T: %v", v, err)
	}
	return append(b, body...), nil
}

// Fault is the body of a ServiceFault that answers the request with this handle.
func Fault(handle uint32, code ua.StatusCode, at time.Time) []byte {
	return uabinary.AppendResponseHeader(nil, id.ServiceFault_Encoding_DefaultBinary, handle, code, at)
}

// openRequest is an OpenSecureChannelRequest (OPC 10000-4 §5.6.2).
type openRequest struct {
	handle   uint32
	renew    bool
	mode     ua.MessageSecurityMode
	nonce    []byte
	lifetime time.Duration
}

func (o openRequest) encode(at time.Time) []byte {
	b := appendRequestHeader(uabinary.AppendTypeID(nil, id.OpenSecureChannelRequest_Encoding_DefaultBinary), o.handle, at)
	var kind uint32
	if o.renew {
		kind = 1
	}
	for _, v := range [...]uint32{0, kind, uint32(o.mode)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = appendBytes(b, o.nonce)
	return binary.LittleEndian.AppendUint32(b, uint32(o.lifetime.Milliseconds()))
}

func parseOpenRequest(body []byte) (openRequest, error) {
	head, rest, err := PeekRequest(body)
	if err != nil {
		return openRequest{}, err
	}
	if head.TypeID != id.OpenSecureChannelRequest_Encoding_DefaultBinary {
		return openRequest{}, fail(ua.StatusBadTCPMessageTypeInvalid, "message does not open a channel")
	}
	r := reader{b: rest}
	r.skip(4) // protocol version: it was agreed in the hello
	kind := r.uint32()
	o := openRequest{handle: head.Handle, renew: kind == 1, mode: ua.MessageSecurityMode(r.uint32())}
	o.nonce = append(o.nonce, r.bytes()...)
	o.lifetime = time.Duration(r.uint32()) * time.Millisecond
	if r.bad || kind > 1 {
		return openRequest{}, fail(ua.StatusBadDecodingError, "open request cannot be decoded")
	}
	return o, nil
}

// openResponse is an OpenSecureChannelResponse.
type openResponse struct {
	handle, channel, token uint32
	created                time.Time
	lifetime               time.Duration
	nonce                  []byte
}

func (o openResponse) encode() []byte {
	b := uabinary.AppendResponseHeader(nil, id.OpenSecureChannelResponse_Encoding_DefaultBinary, o.handle, ua.StatusOK, o.created)
	for _, v := range [...]uint32{0, o.channel, o.token} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = uabinary.AppendDateTime(b, o.created)
	b = binary.LittleEndian.AppendUint32(b, uint32(o.lifetime.Milliseconds()))
	return appendBytes(b, o.nonce)
}

func parseOpenResponse(body []byte) (openResponse, error) {
	head, rest, err := PeekResponse(body)
	if err != nil {
		return openResponse{}, err
	}
	if head.Result>>30 == 2 {
		return openResponse{}, fail(head.Result, "server refused to open the channel")
	}
	if head.TypeID != id.OpenSecureChannelResponse_Encoding_DefaultBinary {
		return openResponse{}, fail(ua.StatusBadTCPMessageTypeInvalid, "server's answer does not open a channel")
	}
	r := reader{b: rest}
	r.skip(4)
	o := openResponse{handle: head.Handle, channel: r.uint32(), token: r.uint32()}
	r.skip(8) // created: the server's clock, which we do not judge by
	o.lifetime = time.Duration(r.uint32()) * time.Millisecond
	o.nonce = append(o.nonce, r.bytes()...)
	if r.bad {
		return openResponse{}, fail(ua.StatusBadDecodingError, "open response cannot be decoded")
	}
	return o, nil
}

func appendRequestHeader(b []byte, handle uint32, at time.Time) []byte {
	b = append(b, 0, 0) // no session
	b = uabinary.AppendDateTime(b, at)
	b = binary.LittleEndian.AppendUint32(b, handle)
	b = append(b, 0, 0, 0, 0)             // no diagnostics
	b = append(b, 0xff, 0xff, 0xff, 0xff) // no audit entry
	b = append(b, 0, 0, 0, 0)             // no timeout
	return append(b, 0, 0, 0)             // no additional header
}
