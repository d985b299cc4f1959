package channel

import (
	"reflect"

	"github.com/gopcua/opcua/ua"
)

// Our own choices for Decode.
const (
	decodeDepth    = 32      // nested variants, extension objects, diagnostics, structures
	decodeElements = 200_000 // elements of all arrays of one body
	// requestElements is the same for a request. Each may be 170 bytes once it is decoded, so
	// one request takes 17 MB at most.
	requestElements = 100_000
	maxDimensions   = 16 // of a matrix
)

// Decode decodes a request or response into the library's type, a pointer.
//
// The library's decoder allocates what an array's length claims, recurses without limit,
// and panics on some lengths. So the body is first checked against the same type without
// allocating: every length must fit the remaining bytes, and nesting and the number of
// elements are bounded. A type that the check does not support is refused. The recover
// turns any other panic of the library into an error; exhausting memory or the stack, which
// cannot be recovered from, is ruled out by the check.
func Decode(body []byte) (v any, err error) { return decode(body, decodeElements) }

// DecodeRequest is Decode for a server, whose clients are not trusted.
func DecodeRequest(body []byte) (v any, err error) { return decode(body, requestElements) }

func decode(body []byte, elements int) (v any, err error) {
	refused := fail(ua.StatusBadDecodingError, "body cannot be decoded")
	defer func() {
		if recover() != nil {
			v, err = nil, refused
		}
	}()
	r := reader{b: body}
	number := r.nodeID()
	if r.bad {
		return nil, refused
	}
	typeID := body[:len(body)-len(r.b)]
	_, empty, _ := ua.DecodeService(typeID) // finds the type without decoding
	if number == 0 || empty == nil {
		return nil, fail(ua.StatusBadServiceUnsupported, "service is unknown")
	}
	w := walk{reader: r, elements: elements}
	if w.value(reflect.TypeOf(empty), decodeDepth); w.bad {
		return nil, refused
	}
	if _, v, err = ua.DecodeService(body); err != nil {
		return nil, refused
	}
	return v, nil
}
