package rawvalue

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gopcua/opcua/ua"
)

// Kind is the kind of a NodeId's identifier.
type Kind uint8

const (
	Numeric Kind = iota
	String
	GUID
	Opaque
)

// NodeID is a NodeId as a comparable key: the three encodings of a number are equal.
// The zero value is the null NodeId.
type NodeID struct {
	Text      string // of a String and an Opaque identifier; the 16 bytes of a GUID
	Number    uint32
	Namespace uint16
	Kind      Kind
}

// ParseNodeID reads a NodeId, which must be all of raw. The result does not alias raw.
func ParseNodeID(raw []byte) (NodeID, error) {
	c := NewCursor(raw, Limits{})
	if c.NodeID(); c.err == nil && c.pos != len(raw) {
		c.malformed("there are bytes after a NodeId")
	}
	if c.err != nil {
		return NodeID{}, c.err
	}
	switch body := raw[1:]; raw[0] {
	case nodeIDTwoByte:
		return NodeID{Number: uint32(body[0])}, nil
	case nodeIDFourByte:
		return NodeID{Namespace: uint16(body[0]), Number: uint32(binary.LittleEndian.Uint16(body[1:]))}, nil
	case nodeIDNumeric:
		return NodeID{Namespace: binary.LittleEndian.Uint16(body), Number: binary.LittleEndian.Uint32(body[2:])}, nil
	case nodeIDGUID:
		return NodeID{Kind: GUID, Namespace: binary.LittleEndian.Uint16(body), Text: string(body[2:])}, nil
	default:
		id := NodeID{Kind: String, Namespace: binary.LittleEndian.Uint16(body), Text: string(body[6:])}
		if raw[0] == nodeIDByteString {
			id.Kind = Opaque
		}
		return id, nil
	}
}

// AppendTo appends the shortest encoding.
func (id NodeID) AppendTo(b []byte) []byte {
	ns := id.Namespace
	switch {
	case id.Kind == GUID:
		b = binary.LittleEndian.AppendUint16(append(b, nodeIDGUID), ns)
		var guid [16]byte
		copy(guid[:], id.Text)
		return append(b, guid[:]...)
	case id.Kind == String || id.Kind == Opaque:
		kind := byte(nodeIDString)
		if id.Kind == Opaque {
			kind = nodeIDByteString
		}
		b = binary.LittleEndian.AppendUint16(append(b, kind), ns)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(id.Text)))
		return append(b, id.Text...)
	case ns == 0 && id.Number <= math.MaxUint8:
		return append(b, nodeIDTwoByte, byte(id.Number))
	case ns <= math.MaxUint8 && id.Number <= math.MaxUint16:
		return binary.LittleEndian.AppendUint16(append(b, nodeIDFourByte, byte(ns)), uint16(id.Number))
	default:
		b = binary.LittleEndian.AppendUint16(append(b, nodeIDNumeric), ns)
		return binary.LittleEndian.AppendUint32(b, id.Number)
	}
}

// FromUA converts the library's NodeID; nil is null.
func FromUA(n *ua.NodeID) (NodeID, error) {
	if n == nil {
		return NodeID{}, nil
	}
	raw, err := n.Encode()
	if err != nil {
		return NodeID{}, fmt.Errorf("rawvalue: encoding a NodeId: %v", err)
	}
	raw[0] &^= expandedURI | expandedServer // the library keeps the flags of an ExpandedNodeId
	return ParseNodeID(raw)
}

// UA converts to the library's NodeID.
func (id NodeID) UA() *ua.NodeID {
	n := new(ua.NodeID)
	if _, err := n.Decode(id.AppendTo(nil)); err != nil {
		return nil // an identifier longer than 2 GB
	}
	return n
}

// String returns the text form of OPC 10000-6 §5.3.1.10.
func (id NodeID) String() string {
	var s string
	switch id.Kind {
	case Numeric:
		s = fmt.Sprintf("i=%d", id.Number)
	case String:
		s = "s=" + id.Text
	case Opaque:
		s = "b=" + base64.StdEncoding.EncodeToString([]byte(id.Text))
	case GUID:
		var g [16]byte
		copy(g[:], id.Text)
		s = fmt.Sprintf("g=%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(g[:]),
			binary.LittleEndian.Uint16(g[4:]), binary.LittleEndian.Uint16(g[6:]), g[8:10], g[10:])
	}
	if id.Namespace == 0 {
		return s
	}
	return fmt.Sprintf("ns=%d;%s", id.Namespace, s)
}
