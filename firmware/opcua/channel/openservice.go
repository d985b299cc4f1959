package channel

import (
	"encoding/binary"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

// openRequest is an OpenSecureChannelRequest (OPC 10000-4 §5.6.2).
type openRequest struct {
	handle   uint32
	renew    bool
	mode     ua.MessageSecurityMode
	nonce    []byte
	lifetime time.Duration
}

func (o openRequest) encode(at time.Time) []byte {
	b := appendRequestHeader(uabinary.AppendTypeID(nil, id.OpenSecureChannelRequest_Encoding_DefaultBinary), o.handle,
		at)
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
		return openRequest{}, fail(ua.StatusBadTCPMessageTypeInvalid, "message is not an open request")
	}
	r := reader{b: rest}
	r.skip(4) // protocol version: agreed in the hello
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
	b := uabinary.AppendResponseHeader(nil, id.OpenSecureChannelResponse_Encoding_DefaultBinary, o.handle, ua.StatusOK,
		o.created)
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
		return openResponse{}, fail(ua.StatusBadTCPMessageTypeInvalid, "server's answer is not an open response")
	}
	r := reader{b: rest}
	r.skip(4)
	o := openResponse{handle: head.Handle, channel: r.uint32(), token: r.uint32()}
	r.skip(8) // creation time, by the server's clock: not used
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
