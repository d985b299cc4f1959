package transport

import (
	"encoding/binary"
	"fmt"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/platform/text"
)

// maxString bounds the endpoint URL and the reason: their encoded value is below
// 4096 bytes (OPC 10000-6 §7.1.2.3 and §7.1.2.5).
const maxString = 4096

// HelloBody is the body of a client's hello and, without EndpointURL, of a server's
// acknowledge. 0 in MaxMessage and MaxChunks means no limit.
type HelloBody struct {
	Version       uint32
	ReceiveBuffer uint32
	SendBuffer    uint32
	MaxMessage    uint32
	MaxChunks     uint32
	EndpointURL   string
}

// AppendHello adds a complete HEL message to b.
func (m HelloBody) AppendHello(b []byte) []byte {
	b = Header{Hello, Final, uint32(HeaderSize + 20 + 4 + len(m.EndpointURL))}.Append(b)
	return appendString(m.appendNumbers(b), m.EndpointURL)
}

// AppendAcknowledge adds a complete ACK message to b.
func (m HelloBody) AppendAcknowledge(b []byte) []byte {
	return m.appendNumbers(Header{Acknowledge, Final, HeaderSize + 20}.Append(b))
}

func (m HelloBody) appendNumbers(b []byte) []byte {
	for _, n := range [...]uint32{m.Version, m.ReceiveBuffer, m.SendBuffer, m.MaxMessage, m.MaxChunks} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// ParseHello reads the body of a HEL message.
func ParseHello(body []byte) (HelloBody, error) {
	m, rest, err := parseNumbers(body)
	if err != nil {
		return HelloBody{}, err
	}
	m.EndpointURL, rest, err = parseString(rest)
	if err != nil {
		return HelloBody{}, fault(ua.StatusBadTCPEndpointURLInvalid, "endpoint URL is too long or cut off")
	}
	if len(rest) != 0 {
		return HelloBody{}, fault(ua.StatusBadTCPInternalError, "bytes after the hello")
	}
	return m, nil
}

// ParseAcknowledge reads the body of an ACK message.
func ParseAcknowledge(body []byte) (HelloBody, error) {
	m, rest, err := parseNumbers(body)
	if err == nil && len(rest) != 0 {
		return HelloBody{}, fault(ua.StatusBadTCPInternalError, "bytes after the acknowledge")
	}
	return m, err
}

func parseNumbers(b []byte) (HelloBody, []byte, error) {
	if len(b) < 20 {
		return HelloBody{}, nil, fault(ua.StatusBadTCPInternalError, "hello or acknowledge is cut off")
	}
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	return HelloBody{
		Version: at(0), ReceiveBuffer: at(4), SendBuffer: at(8), MaxMessage: at(12), MaxChunks: at(16),
	}, b[20:], nil
}

// Error is an ERR message, received or about to be sent. errors.Is finds its code.
type Error struct {
	Code   ua.StatusCode
	Reason string
	Remote bool // the peer sent it
}

func fault(code ua.StatusCode, reason string) *Error { return &Error{Code: code, Reason: reason} }

func (e *Error) Error() string {
	origin := "opcua transport"
	if e.Remote {
		origin = "opcua transport: peer closed the connection"
	}
	if e.Reason == "" {
		return fmt.Sprintf("%s: %v", origin, e.Code)
	}
	return fmt.Sprintf("%s: %q: %v", origin, e.Reason, e.Code)
}

// Unwrap gives the status code to errors.Is.
func (e *Error) Unwrap() error { return e.Code }

// Append adds a complete ERR message to b. A reason that is too long is truncated.
func (e *Error) Append(b []byte) []byte {
	reason := text.Clip(e.Reason, maxString-1)
	b = Header{Err, Final, uint32(HeaderSize + 4 + 4 + len(reason))}.Append(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Code))
	return appendString(b, reason)
}

// ParseError reads the body of an ERR message or an abort chunk. A malformed one becomes an
// error without a reason: the connection is lost in either case.
func ParseError(body []byte) *Error {
	e := &Error{Code: ua.StatusBadTCPInternalError, Remote: true}
	if len(body) < 4 {
		return e
	}
	e.Code = ua.StatusCode(binary.LittleEndian.Uint32(body))
	if e.Code>>30 != 2 { // an error with another severity than Bad must not pass for success
		e.Code = ua.StatusBadTCPInternalError
	}
	if reason, _, err := parseString(body[4:]); err == nil {
		e.Reason = reason
	}
	return e
}

func appendString(b []byte, s string) []byte {
	if s == "" {
		return append(b, 0xff, 0xff, 0xff, 0xff)
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func parseString(b []byte) (string, []byte, error) {
	if len(b) < 4 {
		return "", nil, fault(ua.StatusBadTCPInternalError, "string is cut off")
	}
	n := binary.LittleEndian.Uint32(b)
	b = b[4:]
	if n == 0xffffffff {
		return "", b, nil
	}
	if n >= maxString || int(n) > len(b) {
		return "", nil, fault(ua.StatusBadTCPInternalError, "string is too long or cut off")
	}
	return string(b[:n]), b[n:], nil
}
