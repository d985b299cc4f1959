package rawvalue

import (
	"fmt"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/uabinary"
)

// Specification constants.
const maxDepth = 100 // OPC 10000-6 §5.1.5, §5.2.2.12: decoders support at least 100 nesting levels

// Our own choices.
const (
	defaultBytes  = uabinary.MaxMessage
	defaultArray  = 4 << 20
	defaultString = uabinary.MaxMessage
)

// Limits bounds one value. The zero value of each field means its default. The lengths that
// a value claims are checked against them before anything is read or allocated.
type Limits struct {
	Depth  int // nesting of Variants, DataValues and DiagnosticInfos, at most 100
	Bytes  int // length of one value
	Array  int // elements of one array
	String int // bytes of one String, ByteString, XmlElement or structure body
}

func (l Limits) withDefaults() Limits {
	if l.Depth <= 0 || l.Depth > maxDepth {
		l.Depth = maxDepth
	}
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.Array <= 0 {
		l.Array = defaultArray
	}
	if l.String <= 0 {
		l.String = defaultString
	}
	return l
}

// Error says what is wrong with a value or a request for a part of it. Code is Bad_DecodingError,
// Bad_EncodingLimitsExceeded, Bad_IndexRangeInvalid, Bad_IndexRangeNoData,
// Bad_DeadbandFilterInvalid or Bad_MonitoredItemFilterUnsupported: what a service
// answers with.
type Error struct {
	Code   ua.StatusCode
	Offset int // of the fault in what was skimmed
	What   string
}

func (e *Error) Error() string {
	return fmt.Sprintf("rawvalue: at byte %d: %s", e.Offset, e.What)
}
