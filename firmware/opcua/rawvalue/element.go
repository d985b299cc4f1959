package rawvalue

import "github.com/gopcua/opcua/ua"

// Specification constants.
const (
	nodeIDTwoByte    = 0
	nodeIDFourByte   = 1
	nodeIDNumeric    = 2
	nodeIDString     = 3
	nodeIDGUID       = 4
	nodeIDByteString = 5
	expandedServer   = 0x40
	expandedURI      = 0x80

	bodyNone   = 0
	bodyBinary = 1
	bodyXML    = 2

	maxType = 31 // 26 to 31 are reserved, and read as ByteStrings
)

// fixedSize returns the size of a built-in type, 0 if it varies.
func fixedSize(t ua.TypeID) int {
	switch t {
	case ua.TypeIDBoolean, ua.TypeIDSByte, ua.TypeIDByte:
		return 1
	case ua.TypeIDInt16, ua.TypeIDUint16:
		return 2
	case ua.TypeIDInt32, ua.TypeIDUint32, ua.TypeIDFloat, ua.TypeIDStatusCode:
		return 4
	case ua.TypeIDInt64, ua.TypeIDUint64, ua.TypeIDDouble, ua.TypeIDDateTime:
		return 8
	case ua.TypeIDGUID:
		return 16
	}
	return 0
}

// minSize returns the smallest size of a value of a built-in type.
func minSize(t ua.TypeID) int {
	if n := fixedSize(t); n > 0 {
		return n
	}
	switch t {
	case ua.TypeIDNodeID, ua.TypeIDExpandedNodeID:
		return 2
	case ua.TypeIDQualifiedName:
		return 6
	case ua.TypeIDExtensionObject:
		return 3
	case ua.TypeIDLocalizedText, ua.TypeIDDataValue, ua.TypeIDVariant, ua.TypeIDDiagnosticInfo:
		return 1
	}
	return 4
}

// element skips one value of a built-in type.
func (c *Cursor) element(t ua.TypeID) {
	if n := fixedSize(t); n > 0 {
		c.Skip(n)
		return
	}
	switch t {
	case ua.TypeIDNodeID:
		c.NodeID()
	case ua.TypeIDExpandedNodeID:
		c.ExpandedNodeID()
	case ua.TypeIDQualifiedName:
		c.QualifiedName()
	case ua.TypeIDLocalizedText:
		c.LocalizedText()
	case ua.TypeIDExtensionObject:
		c.ExtensionObject()
	case ua.TypeIDDataValue:
		c.DataValue()
	case ua.TypeIDVariant:
		c.Variant()
	case ua.TypeIDDiagnosticInfo:
		c.DiagnosticInfo()
	default:
		c.Bytes()
	}
}

// NodeID skips a NodeId and returns its bytes.
func (c *Cursor) NodeID() []byte {
	start := c.pos
	c.nodeID(c.Byte())
	return c.since(start)
}

func (c *Cursor) nodeID(kind byte) {
	switch kind {
	case nodeIDTwoByte:
		c.Skip(1)
	case nodeIDFourByte:
		c.Skip(3)
	case nodeIDNumeric:
		c.Skip(6)
	case nodeIDString, nodeIDByteString:
		c.Skip(2)
		c.Bytes()
	case nodeIDGUID:
		c.Skip(18)
	default:
		c.malformed("unknown encoding of a NodeId")
	}
}

// ExpandedNodeID skips an ExpandedNodeId and returns its bytes.
func (c *Cursor) ExpandedNodeID() []byte {
	start := c.pos
	kind := c.Byte()
	c.nodeID(kind &^ (expandedURI | expandedServer))
	if kind&expandedURI != 0 {
		c.Bytes()
	}
	if kind&expandedServer != 0 {
		c.Skip(4)
	}
	return c.since(start)
}

// QualifiedName is a name with its namespace; a nil Name is null.
type QualifiedName struct {
	Namespace uint16
	Name      []byte
}

// QualifiedName reads a QualifiedName.
func (c *Cursor) QualifiedName() QualifiedName {
	return QualifiedName{Namespace: c.Uint16(), Name: c.Bytes()}
}

// LocalizedText is a text with its locale. A nil field is null or was not encoded.
type LocalizedText struct{ Locale, Text []byte }

// LocalizedText reads a LocalizedText.
func (c *Cursor) LocalizedText() LocalizedText {
	var t LocalizedText
	mask := c.Byte()
	if mask&ua.LocalizedTextLocale != 0 {
		t.Locale = c.Bytes()
	}
	if mask&ua.LocalizedTextText != 0 {
		t.Text = c.Bytes()
	}
	return t
}

// ExtensionObject is a structure of which only the type is known.
type ExtensionObject struct {
	Raw      []byte
	TypeID   []byte // a NodeId, see ParseNodeID
	Encoding byte   // 0 no body, 1 binary, 2 XML
	Body     []byte // nil when there is none, or a null one
}

// ExtensionObject skips an ExtensionObject.
func (c *Cursor) ExtensionObject() ExtensionObject {
	start := c.pos
	o := ExtensionObject{TypeID: c.NodeID()}
	switch o.Encoding = c.Byte(); o.Encoding {
	case bodyNone:
	case bodyBinary, bodyXML:
		o.Body = c.Bytes()
	default:
		c.malformed("unknown encoding of a structure")
	}
	o.Raw = c.since(start)
	return o
}

// DiagnosticInfo skips a DiagnosticInfo and returns its bytes.
func (c *Cursor) DiagnosticInfo() []byte {
	start := c.pos
	c.begin()
	inner := 0
	for more := true; more && c.enter(); inner++ {
		mask := c.Byte()
		for _, bit := range [...]byte{ua.DiagnosticInfoSymbolicID, ua.DiagnosticInfoNamespaceURI,
			ua.DiagnosticInfoLocale, ua.DiagnosticInfoLocalizedText} {
			if mask&bit != 0 {
				c.Skip(4)
			}
		}
		if mask&ua.DiagnosticInfoAdditionalInfo != 0 {
			c.Bytes()
		}
		if mask&ua.DiagnosticInfoInnerStatusCode != 0 {
			c.Skip(4)
		}
		more = mask&ua.DiagnosticInfoInnerDiagnosticInfo != 0
	}
	c.depth -= inner
	c.end()
	return c.since(start)
}
