package channel

import (
	"fmt"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// RequestHead is what a server reads of a request before it decodes it: enough to answer
// with a ServiceFault that the client can match.
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

// ResponseHead is what a client reads of a response before it decodes it.
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
		return nil, fmt.Errorf("opcua channel: %T is not a service message", v)
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
