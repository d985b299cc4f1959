package rawvalue

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gopcua/opcua/ua"
)

// nested returns n Variants, each the element of the one before, around a Byte.
func nested(n int) []byte {
	return append(bytes.Repeat([]byte{byte(ua.TypeIDVariant)}, n-1), byte(ua.TypeIDByte), 7)
}

func TestMalformedAndOversizedValuesAreRefused(t *testing.T) {
	malformed, exceeded := ua.StatusBadDecodingError, ua.StatusBadEncodingLimitsExceeded
	small := Limits{Depth: 3, Bytes: 40, Array: 4, String: 5}
	for name, c := range map[string]struct {
		variant []byte
		lim     Limits
		want    ua.StatusCode // 0: accepted
	}{
		"depth at the standard's limit":  {nested(100), Limits{}, 0},
		"depth beyond it":                {nested(101), Limits{}, exceeded},
		"depth without end":              {bytes.Repeat([]byte{24}, 1<<20), Limits{}, exceeded},
		"a limit cannot raise the depth": {nested(101), Limits{Depth: 1000}, exceeded},
		"depth at a limit":               {nested(3), small, 0},
		"depth beyond a limit":           {nested(4), small, exceeded},
		"depth through DataValues":       {bytes.Repeat([]byte{23, 1}, 1000), Limits{}, exceeded},
		"depth through arrays":           {bytes.Repeat([]byte{0x98, 1, 0, 0, 0}, 1000), Limits{}, exceeded},
		"depth through diagnostics": {append([]byte{25}, bytes.Repeat([]byte{0x40}, 1000)...), Limits{},
			exceeded},
		"diagnostics at the limit": {append(append([]byte{25}, bytes.Repeat([]byte{0x40}, 98)...), 0), Limits{},
			0},
		"string at a limit":             {[]byte{12, 5, 0, 0, 0, 1, 2, 3, 4, 5}, small, 0},
		"string beyond a limit":         {[]byte{12, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6}, small, exceeded},
		"structure body beyond a limit": {[]byte{22, 0, 9, 1, 6, 0, 0, 0, 1, 2, 3, 4, 5, 6}, small, exceeded},
		"array at a limit":              {[]byte{0x83, 4, 0, 0, 0, 1, 2, 3, 4}, small, 0},
		"array beyond a limit":          {[]byte{0x83, 5, 0, 0, 0, 1, 2, 3, 4, 5}, small, exceeded},
		"value at a limit":              {append([]byte{0x8e, 2, 0, 0, 0}, make([]byte, 32)...), small, 0},
		"value beyond a limit":          {append([]byte{0x8e, 3, 0, 0, 0}, make([]byte, 48)...), small, exceeded},
		"array longer than the bytes":   {[]byte{0x83, 0, 0, 0, 1}, Limits{Array: 1 << 30}, malformed},
		"array of the largest length":   {[]byte{0x8b, 0xff, 0xff, 0xff, 0x7f}, Limits{Array: 1<<31 - 1}, malformed},
		"array of a negative length":    {[]byte{0x83, 0xfe, 0xff, 0xff, 0xff}, Limits{}, malformed},
		"string of a negative length":   {[]byte{12, 0xfe, 0xff, 0xff, 0xff}, Limits{}, malformed},
		"string of the largest length":  {[]byte{12, 0xff, 0xff, 0xff, 0x7f}, Limits{String: 1<<31 - 1}, malformed},
		"type 32":                       {[]byte{32, 0, 0, 0, 0}, Limits{}, malformed},
		"array of type 0":               {[]byte{0x80, 0, 0, 0, 0}, Limits{}, malformed},
		"scalar with dimensions":        {[]byte{0x43, 1, 0, 0, 0, 0}, Limits{}, malformed},
		"dimensions beyond the length": {[]byte{0xc3, 2, 0, 0, 0, 1, 2, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0},
			Limits{}, malformed},
		"dimensions that overflow": {[]byte{0xc3, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0}, Limits{},
			malformed},
		"dimensions of 2⁶⁴": {append([]byte{0xc3, 0, 0, 0, 0, 4, 0, 0, 0},
			bytes.Repeat([]byte{0, 0, 1, 0}, 4)...), Limits{}, malformed},
		"diagnostics beside each other": {append([]byte{0x99, 200, 0, 0, 0}, make([]byte, 200)...), Limits{}, 0},
		"overflow, then a zero": {[]byte{0xc3, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0},
			Limits{}, 0},
		"negative dimension": {[]byte{0xc3, 1, 0, 0, 0, 1, 2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff}, Limits{}, malformed},
		"NodeId of an unknown kind":      {[]byte{17, 6, 0, 0, 0}, Limits{}, malformed},
		"NodeId with an expanded flag":   {[]byte{17, 0x40, 0, 0, 0, 0, 0}, Limits{}, malformed},
		"ExpandedNodeId of unknown kind": {[]byte{18, 0xc6, 0, 0, 0}, Limits{}, malformed},
		"structure of an unknown coding": {[]byte{22, 0, 0, 3}, Limits{}, malformed},
		"nothing at all":                 {nil, Limits{}, malformed},
		"null array with full dimensions": {[]byte{0xc3, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 2, 0, 0, 0}, Limits{},
			malformed},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := SkimVariant(c.variant, c.lim)
			var e *Error
			switch {
			case c.want == 0 && (err != nil || !bytes.Equal(v.Raw, c.variant)):
				t.Errorf("got %x, %v; want it whole", v.Raw, err)
			case c.want != 0 && (!errors.As(err, &e) || e.Code != c.want || v.Raw != nil):
				t.Errorf("got %x, %v; want %v", v.Raw, err, c.want)
			}
		})
	}
}

// A length that cannot fit is refused where it stands, not after what does fit.
func TestALengthIsRefusedWhereItStands(t *testing.T) {
	var e *Error
	_, err := SkimVariant([]byte{0x8c, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, Limits{})
	if !errors.As(err, &e) || e.Offset != 5 {
		t.Errorf("got %v, want an error at byte 5", err)
	}
}

// Each value of a batch has the whole of its own limit.
func TestTheLengthLimitHoldsForEachValue(t *testing.T) {
	one := []byte{1, 12, 4, 0, 0, 0, 'a', 'b', 'c', 'd'}
	c := NewCursor(bytes.Repeat(one, 5), Limits{Bytes: len(one)})
	for i := range 5 {
		if d := c.DataValue(); !bytes.Equal(d.Raw, one) {
			t.Fatalf("value %d: got %x, %v; want %x", i, d.Raw, c.Err(), one)
		}
	}
}
