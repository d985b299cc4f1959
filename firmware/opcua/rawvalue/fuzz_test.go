package rawvalue

import (
	"bytes"
	"testing"

	"github.com/gopcua/opcua/ua"
)

// FuzzDataValue: for any bytes, skimming does not panic, stays within them
// and within its limits; what it accepts is written again as it was, is the same when
// it is skimmed again, is as long as the library says where that can decode it, and
// is refused when it is cut.
func FuzzDataValue(f *testing.F) {
	for _, v := range golden(f) {
		f.Add(v.bytes, "0")
		f.Add(v.bytes, "0:1,1:2")
	}
	f.Add(nested(150), "1:2")
	lim := Limits{Bytes: 1 << 16, Array: 1 << 12, String: 1 << 12}
	f.Fuzz(func(t *testing.T, b []byte, rng string) {
		before := bytes.Clone(b)
		d, err := SkimDataValue(b, lim)
		if err != nil {
			if d.Raw != nil {
				t.Fatalf("refused with %v, but got %x", err, d.Raw)
			}
			return
		}
		if len(d.Raw) > len(b) || len(d.Raw) > lim.Bytes || !bytes.Equal(d.Raw, b[:len(d.Raw)]) {
			t.Fatalf("got %x of %x", d.Raw, b)
		}
		if got := d.Append(nil, Answer{Timestamps: ua.TimestampsToReturnBoth}); !bytes.Equal(got, d.Raw) {
			t.Fatalf("written again: got %x, want %x", got, d.Raw)
		}
		if again, err := SkimDataValue(d.Raw, lim); err != nil || !again.Equal(d) {
			t.Fatalf("skimmed again: got %x, %v; want %x", again.Raw, err, d.Raw)
		}
		if cut, err := SkimDataValue(d.Raw[:len(d.Raw)-1], lim); err == nil {
			t.Fatalf("cut by a byte: got %x, want an error", cut.Raw)
		}
		checkElements(t, d.Value)
		agreesWithLibrary(t, d)
		checkRange(t, d, rng)
		f, _ := NewFilter(ua.DataChangeTriggerStatusValueTimestamp, ua.DeadbandTypeAbsolute, 0, d.Value)
		if changed(f, d, d) {
			t.Fatalf("%x differs from itself", d.Raw)
		}
		if !bytes.Equal(b, before) {
			t.Fatalf("the input was changed: got %x, want %x", b, before)
		}
	})
}

// agreesWithLibrary compares lengths with the library's decoder, where that succeeds.
// It decodes the body of a structure that it knows, and allocates what that claims;
// the golden vectors cover structures.
func agreesWithLibrary(t *testing.T, d DataValue) {
	t.Helper()
	if holdsStructure(d.Value) {
		return
	}
	raw := d.Raw
	behind := append(bytes.Clone(raw), 0, 0, 0, 0)
	if n, err := new(ua.DataValue).Decode(behind); err == nil && n != len(raw) {
		t.Fatalf("%x: the library reads %d bytes, want %d", raw, n, len(raw))
	}
}

func holdsStructure(v Variant) bool {
	if v.Type() == ua.TypeIDExtensionObject {
		return true
	}
	for _, e := range v.Each() {
		var inner Variant
		switch v.Type() {
		case ua.TypeIDVariant:
			inner, _ = SkimVariant(e, Limits{})
		case ua.TypeIDDataValue:
			d, _ := SkimDataValue(e, Limits{})
			inner = d.Value
		}
		if holdsStructure(inner) {
			return true
		}
	}
	return false
}

// checkRange reports whether what a range selects is a Variant of the same type, no
// longer than the whole.
func checkRange(t *testing.T, d DataValue, rng string) {
	t.Helper()
	r, err := ParseRange(rng)
	if err != nil {
		return
	}
	got, err := r.Append(nil, d.Value)
	if err != nil || r.Whole() {
		return
	}
	v, err := SkimVariant(got, Limits{})
	if err != nil || len(v.Raw) != len(got) || v.Type() != d.Value.Type() || v.Rank() != d.Value.Rank() ||
		v.Len() > d.Value.Len() {
		t.Fatalf("%s of %x: got %x, %v", rng, d.Value.Raw, got, err)
	}
}

// FuzzBatch: a response of any bytes costs no more than was asked for.
func FuzzBatch(f *testing.F) {
	f.Add(readResponse(f, 3))
	f.Add([]byte{2, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 1, 3, 5})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := NewCursor(b, Limits{})
		if _, values := c.ReadResponse(nil, 10); len(values) > 10 || c.Pos() > len(b) {
			t.Fatalf("got %d values and %d of %d bytes, want 10 at most", len(values), c.Pos(), len(b))
		}
		c = NewCursor(b, Limits{})
		items := c.DataChange(nil, 10)
		if len(items) > 10 || c.Pos() > len(b) {
			t.Fatalf("got %d items and %d of %d bytes, want 10 at most", len(items), c.Pos(), len(b))
		}
		for _, i := range items {
			if _, err := SkimDataValue(i.Value.Raw, Limits{}); err != nil {
				t.Fatalf("%x: %v", i.Value.Raw, err)
			}
		}
	})
}

// FuzzNodeID: a NodeId that is read is the same when it is written and read again.
func FuzzNodeID(f *testing.F) {
	for _, v := range golden(f) {
		if v.kind == ua.TypeIDNodeID {
			f.Add(v.bytes[2:])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseNodeID(b)
		if err != nil {
			return
		}
		if again, err := ParseNodeID(id.AppendTo(nil)); err != nil || again != id {
			t.Fatalf("got %+v, %v; want %+v", again, err, id)
		}
	})
}
