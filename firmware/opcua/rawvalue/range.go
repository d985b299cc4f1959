package rawvalue

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gopcua/opcua/ua"
)

// maxRangeDimensions is our own choice.
const maxRangeDimensions = 16

// Range is a parsed NumericRange (OPC 10000-4 §7.27). The zero value selects everything.
type Range struct {
	n      int
	bounds [maxRangeDimensions]bounds
}

type bounds struct{ low, high int } // inclusive

// ParseRange parses a NumericRange: "2", "0:9", "1:2,0:3". An empty one selects everything.
func ParseRange(s string) (Range, error) {
	invalid := &Error{Code: ua.StatusBadIndexRangeInvalid, What: "index range is not of the form 1:2,3"}
	var r Range
	for more := s != ""; more; r.n++ {
		if r.n == maxRangeDimensions {
			return Range{}, invalid
		}
		var part string
		part, s, more = strings.Cut(s, ",")
		low, high, both := strings.Cut(part, ":")
		b := &r.bounds[r.n]
		var ok, ok2 bool
		if b.low, ok = index(low); !ok {
			return Range{}, invalid
		}
		if b.high = b.low; both {
			if b.high, ok2 = index(high); !ok2 || b.high <= b.low {
				return Range{}, invalid
			}
		}
	}
	return r, nil
}

func index(s string) (int, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' { // no signs
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return int(n), err == nil
}

// Whole reports whether the range selects everything.
func (r Range) Whole() bool { return r.n == 0 }

// Append appends the Variant that the range selects of v. Elements beyond the end are
// omitted; if nothing is left, the error is Bad_IndexRangeNoData. A range with one more
// dimension than an array of Strings or ByteStrings selects within each of them; an element
// without the selected part becomes null. Strings are counted in characters, ByteStrings in
// bytes.
func (r Range) Append(dst []byte, v Variant) ([]byte, error) {
	if r.n == 0 {
		return append(dst, v.Raw...), nil
	}
	start, ok := len(dst), false
	inner, text := r.n == v.Rank()+1, isText(v.Type())
	switch {
	case v.IsNull() || v.Len() < 0:
	case inner && text && !v.IsArray():
		dst = append(dst, v.Raw[0])
		dst, ok = r.appendWithin(dst, v.Type(), v.Elements())
	case r.n == v.Rank() || inner && text:
		dst, ok = r.appendArray(dst, v)
	}
	if !ok {
		return dst[:start], &Error{Code: ua.StatusBadIndexRangeNoData, What: "value has no elements in the index range"}
	}
	return dst, nil
}

func isText(t ua.TypeID) bool { return t == ua.TypeIDString || t == ua.TypeIDByteString }

// within returns the part of b within an array of n elements.
func (b bounds) within(n int) (low, count int) {
	return b.low, max(0, min(b.high, n-1)-b.low+1)
}

func (r Range) appendArray(dst []byte, v Variant) (_ []byte, ok bool) {
	rank := v.Rank()
	var counts [maxRangeDimensions]int
	total := 1
	for i := range rank {
		_, counts[i] = r.bounds[i].within(v.Dimension(i))
		total *= counts[i]
	}
	if total == 0 {
		return dst, false
	}
	dst = append(dst, v.Raw[0])
	dst = binary.LittleEndian.AppendUint32(dst, uint32(total))
	found := false
	switch {
	case r.n > rank:
		dst, found = r.appendParts(dst, v)
	case rank == 1 && fixedSize(v.Type()) > 0:
		size := fixedSize(v.Type())
		low := r.bounds[0].low * size
		dst, found = append(dst, v.Elements()[low:low+total*size]...), true
	default:
		dst, found = r.appendElements(dst, v), true
	}
	if v.Raw[0]&ua.VariantArrayDimensions != 0 {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(rank))
		for _, n := range counts[:rank] {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(n))
		}
	}
	return dst, found
}

// appendElements appends the elements within the range; the last dimension is the
// fastest (OPC 10000-6 §5.2.2.16).
func (r Range) appendElements(dst []byte, v Variant) []byte {
	at := position{v: v}
	for _, e := range v.Each() {
		if at.at[0] > r.bounds[0].high {
			break
		}
		if at.within(&r) {
			dst = append(dst, e...)
		}
		at.next()
	}
	return dst
}

// appendParts is appendElements with a range within each element.
func (r Range) appendParts(dst []byte, v Variant) (_ []byte, found bool) {
	at := position{v: v}
	for _, e := range v.Each() {
		if at.at[0] > r.bounds[0].high {
			break
		}
		if at.within(&r) {
			var ok bool
			if dst, ok = r.appendWithin(dst, v.Type(), e); ok {
				found = true
			} else {
				dst = append(dst, 0xff, 0xff, 0xff, 0xff)
			}
		}
		at.next()
	}
	return dst, found
}

// position is the index of an element in an array of any rank.
type position struct {
	v  Variant
	at [maxRangeDimensions]int
}

func (p *position) within(r *Range) bool {
	for i := range p.v.Rank() {
		if p.at[i] < r.bounds[i].low || p.at[i] > r.bounds[i].high {
			return false
		}
	}
	return true
}

func (p *position) next() {
	for i := p.v.Rank() - 1; i >= 0; i-- {
		if p.at[i]++; p.at[i] < p.v.Dimension(i) {
			return
		}
		p.at[i] = 0
	}
}

// appendWithin appends the part of a String or ByteString that the last dimension of
// the range selects; not ok and unchanged if there is none.
func (r Range) appendWithin(dst []byte, t ua.TypeID, element []byte) (_ []byte, ok bool) {
	c := skimmed(element)
	s := c.Bytes()
	low, high := r.bounds[r.n-1].low, r.bounds[r.n-1].high+1
	if t == ua.TypeIDString {
		low, high = byteOffset(s, low), byteOffset(s, high)
	}
	if low >= len(s) {
		return dst, false
	}
	s = s[low:min(high, len(s))]
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...), true
}

// byteOffset returns where character n begins, len(s) if there are not that many. A
// byte that is not UTF-8 counts as a character.
func byteOffset(s []byte, n int) int {
	at := 0
	for ; n > 0 && at < len(s); n-- {
		_, size := utf8.DecodeRune(s[at:])
		at += size
	}
	return at
}
