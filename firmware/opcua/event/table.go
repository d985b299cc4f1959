package event

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"heliograph/firmware/opcua/rawvalue"

	"github.com/gopcua/opcua/ua"
)

const (
	version     = 1
	maxOperands = 2000
	maxPath     = 16
)

// Operand is a select clause: a field of events of a type.
type Operand struct {
	Type      rawvalue.NodeID // null: of every type
	Path      []rawvalue.QualifiedName
	Attribute ua.AttributeID
}

// key identifies a field by attribute and path.
func (o Operand) key() string {
	b := []byte{byte(o.Attribute)}
	for _, n := range o.Path {
		b = appendName(b, n)
	}
	return string(b)
}

// Table numbers the fields of events. It is immutable.
type Table struct {
	operands    []Operand
	index       map[string][]int // numbers of operands by key
	receiveTime []int            // index of ReceiveTime
	raw         []byte
	id          uint64
}

// NewTable makes a table of at most 2000 operands with paths of at most 16 names.
func NewTable(operands []Operand) (*Table, error) {
	if len(operands) > maxOperands {
		return nil, fault("%d select clauses, %d are allowed", len(operands), maxOperands)
	}
	t := &Table{operands: operands, index: make(map[string][]int, len(operands)), raw: []byte{version}}
	t.raw = binary.LittleEndian.AppendUint16(t.raw, uint16(len(operands)))
	for i, o := range operands {
		if len(o.Path) > maxPath {
			return nil, fault("a path of %d names, %d are allowed", len(o.Path), maxPath)
		}
		t.index[o.key()] = append(t.index[o.key()], i)
		t.raw = append(o.Type.AppendTo(t.raw), byte(o.Attribute), byte(len(o.Path)))
		for _, n := range o.Path {
			t.raw = appendName(t.raw, n)
		}
	}
	sum := sha256.Sum256(t.raw)
	t.id = binary.LittleEndian.Uint64(sum[:])
	t.receiveTime = t.index[receiveTime().key()]
	return t, nil
}

// ParseTable reads a table that fills b.
func ParseTable(b []byte) (*Table, error) {
	c := rawvalue.NewCursor(b, rawvalue.Limits{})
	if v := c.Byte(); v != version {
		return nil, fault("table of version %d", v)
	}
	n := int(c.Uint16())
	if n > maxOperands || n > len(b) {
		return nil, fault("table of %d select clauses", n)
	}
	operands := make([]Operand, 0, n)
	for range n {
		raw := c.NodeID()
		o := Operand{Attribute: ua.AttributeID(c.Byte())}
		names := int(c.Byte())
		if c.Err() != nil || names > maxPath {
			break
		}
		o.Type, _ = rawvalue.ParseNodeID(raw)
		for range names {
			q := c.QualifiedName()
			if q.Name != nil {
				q.Name = append([]byte{}, q.Name...)
			}
			o.Path = append(o.Path, q)
		}
		operands = append(operands, o)
	}
	if c.Err() != nil || len(operands) != n || c.Pos() != len(b) {
		return nil, fault("malformed table")
	}
	return NewTable(operands)
}

// Append appends the encoding.
func (t *Table) Append(dst []byte) []byte { return append(dst, t.raw...) }

// Size is the length of the encoding, in bytes.
func (t *Table) Size() int { return len(t.raw) }

// ID is the start of the SHA-256 of the encoding.
func (t *Table) ID() uint64 { return t.id }

// Operands returns the operands, which must not be changed.
func (t *Table) Operands() []Operand { return t.operands }

// Select returns the operands as the select clauses of a request.
func (t *Table) Select() []*ua.SimpleAttributeOperand {
	clauses := make([]*ua.SimpleAttributeOperand, len(t.operands))
	for i, o := range t.operands {
		clauses[i] = &ua.SimpleAttributeOperand{TypeDefinitionID: o.Type.UA(), AttributeID: o.Attribute}
		for _, n := range o.Path {
			clauses[i].BrowsePath = append(clauses[i].BrowsePath,
				&ua.QualifiedName{NamespaceIndex: n.Namespace, Name: string(n.Name)})
		}
	}
	return clauses
}

func appendName(b []byte, n rawvalue.QualifiedName) []byte {
	b = binary.LittleEndian.AppendUint16(b, n.Namespace)
	return appendString(b, n.Name)
}

func appendString(b, s []byte) []byte {
	length := uint32(len(s))
	if s == nil {
		length = 1<<32 - 1
	}
	return append(binary.LittleEndian.AppendUint32(b, length), s...)
}

func fault(format string, args ...any) error { return fmt.Errorf("event: "+format, args...) }
