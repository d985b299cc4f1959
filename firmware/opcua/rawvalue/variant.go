package rawvalue

import (
	"encoding/binary"
	"iter"

	"github.com/gopcua/opcua/ua"
)

// Variant is a skimmed Variant. The zero value is an absent one.
type Variant struct {
	Raw   []byte // all of it
	count int32  // elements; −1 for a null array, 1 for a scalar, 0 for null
	first int32  // offset of the first element
	tail  int32  // offset after the last element
}

// SkimVariant skims the Variant at the start of b.
func SkimVariant(b []byte, lim Limits) (Variant, error) {
	c := NewCursor(b, lim)
	v := c.Variant()
	return v, c.Err()
}

// Variant reads a Variant.
func (c *Cursor) Variant() Variant {
	c.begin()
	start := c.pos
	if !c.enter() {
		return Variant{}
	}
	v := Variant{count: 1}
	mask := c.Byte()
	t := ua.TypeID(mask & 0x3f)
	switch {
	case mask == 0:
		v.count = 0
	case t == 0 || t > maxType:
		c.malformed("unknown built-in type of a Variant")
	case mask&ua.VariantArrayValues == 0 && mask&ua.VariantArrayDimensions != 0:
		c.malformed("scalar Variant has array dimensions")
	case mask&ua.VariantArrayValues != 0:
		v.count = int32(c.Length(minSize(t)))
	}
	v.first = int32(c.pos - start)
	if size := fixedSize(t); size > 0 {
		c.Skip(size * max(0, int(v.count)))
	} else {
		for i := int32(0); i < v.count && c.err == nil; i++ {
			c.element(t)
		}
	}
	v.tail = int32(c.pos - start)
	if mask&ua.VariantArrayDimensions != 0 {
		c.dimensions(v.count)
	}
	c.leave()
	c.end()
	if v.Raw = c.since(start); v.Raw == nil {
		return Variant{}
	}
	return v
}

// dimensions skips the dimensions of an array, whose product is its length.
func (c *Cursor) dimensions(count int32) {
	n := c.Length(4)
	product := int64(1)
	for range n {
		d := int64(int32(c.Uint32()))
		if d < 0 {
			c.malformed("array has a negative dimension")
			return
		}
		if product *= d; product > 1<<31 { // two factors below 2³¹ do not overflow
			product = 1 << 31 // more than any length; a dimension 0 may still follow
		}
	}
	if n > 0 && product != int64(max(0, count)) {
		c.malformed("dimensions of an array do not match its length")
	}
}

// Type returns the built-in type, 0 for null.
func (v Variant) Type() ua.TypeID {
	if len(v.Raw) == 0 {
		return ua.TypeIDNull
	}
	return ua.TypeID(v.Raw[0] & 0x3f)
}

// IsNull reports whether the Variant is absent or null. A null array has a type, and is not
// null.
func (v Variant) IsNull() bool { return v.Type() == ua.TypeIDNull }

// IsArray reports whether it holds an array, of any rank.
func (v Variant) IsArray() bool {
	return len(v.Raw) > 0 && v.Raw[0]&ua.VariantArrayValues != 0
}

// Len returns the number of elements: 1 for a scalar, −1 for a null array.
func (v Variant) Len() int { return int(v.count) }

// Rank returns the number of dimensions: 0 for a scalar, 1 for an array without
// dimensions.
func (v Variant) Rank() int {
	if !v.IsArray() {
		return 0
	}
	return max(1, (len(v.Raw)-int(v.tail))/4-1)
}

// Dimension returns the length of dimension i, counted from the slowest.
func (v Variant) Dimension(i int) int {
	at := int(v.tail) + 4 + 4*i
	if at+4 > len(v.Raw) {
		return max(0, int(v.count))
	}
	return int(binary.LittleEndian.Uint32(v.Raw[at:]))
}

// Elements returns the bytes of all elements, without length and dimensions.
func (v Variant) Elements() []byte { return v.Raw[v.first:v.tail:v.tail] }

// Each yields the index and the bytes of each element in the order of the encoding.
func (v Variant) Each() iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		t := v.Type()
		c := skimmed(v.Elements())
		for i := range max(0, int(v.count)) {
			start := c.pos
			c.element(t)
			if !yield(i, c.since(start)) {
				return
			}
		}
	}
}

// Element returns the bytes of element i. It skips those before it if their size varies.
func (v Variant) Element(i int) []byte {
	if i < 0 || i >= int(v.count) {
		return nil
	}
	if size := fixedSize(v.Type()); size > 0 {
		at := int(v.first) + i*size
		return v.Raw[at : at+size : at+size]
	}
	for k, e := range v.Each() {
		if k == i {
			return e
		}
	}
	return nil
}

// ExtensionObject returns the structure that a scalar Variant holds.
func (v Variant) ExtensionObject() (ExtensionObject, bool) {
	if v.Type() != ua.TypeIDExtensionObject || v.IsArray() {
		return ExtensionObject{}, false
	}
	c := skimmed(v.Elements())
	return c.ExtensionObject(), c.err == nil
}

// skimmed returns a Cursor over a value that was skimmed before, without limits.
func skimmed(b []byte) Cursor {
	const most = 1<<31 - 1
	return NewCursor(b, Limits{Depth: maxDepth, Bytes: most, Array: most, String: most})
}
