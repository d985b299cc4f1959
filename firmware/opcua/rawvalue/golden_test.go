package rawvalue

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/gopcua/opcua/ua"
)

type vector struct {
	name  string
	kind  ua.TypeID
	array string
	dims  string
	bytes []byte
}

func golden(t testing.TB) []vector {
	t.Helper()
	f, err := os.Open("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []vector
	for s := bufio.NewScanner(f); s.Scan(); {
		field := strings.Fields(s.Text())
		if len(field) < 5 || field[0] == "#" {
			continue
		}
		kind, err := strconv.Atoi(field[1])
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.Join(field[4:], ""))
		if err != nil {
			t.Fatalf("%s: %v", field[0], err)
		}
		all = append(all, vector{field[0], ua.TypeID(kind), field[2], field[3], b})
	}
	return all
}

// vectorNamed returns the bytes of a golden DataValue.
func vectorNamed(t testing.TB, name string) []byte {
	t.Helper()
	for _, v := range golden(t) {
		if v.name == name {
			return v.bytes
		}
	}
	t.Fatalf("no golden vector %q", name)
	return nil
}

func shape(v Variant) (array, dims string) {
	array, dims = "-", "-"
	if v.IsArray() {
		array = strconv.Itoa(v.Len())
	}
	if v.Rank() > 1 {
		var d []string
		for i := range v.Rank() {
			d = append(d, strconv.Itoa(v.Dimension(i)))
		}
		dims = strings.Join(d, ",")
	}
	return array, dims
}

func TestHardValuesKeepTheirBytes(t *testing.T) {
	for _, v := range golden(t) {
		t.Run(v.name, func(t *testing.T) {
			d, err := SkimDataValue(append(bytes.Clone(v.bytes), 0xaa, 0xbb), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(d.Raw, v.bytes) {
				t.Errorf("bytes: got %x, want %x", d.Raw, v.bytes)
			}
			if got := d.Append(nil, Answer{Timestamps: ua.TimestampsToReturnBoth}); !bytes.Equal(got, v.bytes) {
				t.Errorf("written again: got %x, want %x", got, v.bytes)
			}
			array, dims := shape(d.Value)
			if d.Value.Type() != v.kind || array != v.array || dims != v.dims {
				t.Errorf("type, array, dimensions: got %d %s %s, want %d %s %s", d.Value.Type(), array, dims, v.kind,
					v.array, v.dims)
			}
			whole, err := Range{}.Append(nil, d.Value)
			if err != nil || !bytes.Equal(whole, d.Value.Raw) {
				t.Errorf("whole range: got %x, %v; want %x", whole, err, d.Value.Raw)
			}
			checkElements(t, d.Value)
		})
	}
}

// checkElements reports whether the elements, one by one, add up to all of them.
func checkElements(t *testing.T, v Variant) {
	t.Helper()
	var joined []byte
	n := 0
	for i, e := range v.Each() {
		if one := v.Element(i); i < 300 && !bytes.Equal(one, e) {
			t.Errorf("element %d: got %x, want %x", i, one, e)
		}
		joined = append(joined, e...)
		n++
	}
	if n != max(0, v.Len()) || !bytes.Equal(joined, v.Elements()) {
		t.Errorf("elements: got %d, %x; want %d, %x", n, joined, v.Len(), v.Elements())
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, v := range golden(t) {
		for n := range v.bytes {
			d, err := SkimDataValue(v.bytes[:n], Limits{})
			if err == nil {
				t.Errorf("%s cut to %d bytes: got %x, want an error", v.name, n, d.Raw)
			}
		}
	}
}

func TestFieldsAreFoundWhereTheyAre(t *testing.T) {
	d, err := SkimDataValue(vectorNamed(t, "all-fields"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Status != 0x40900000 || d.SourceTime != 1 || d.SourcePico != 999 || d.ServerTime != 2 || d.ServerPico != 9999 {
		t.Errorf("got %#x %d %d %d %d, want 0x40900000 1 999 2 9999", uint32(d.Status), d.SourceTime, d.SourcePico,
			d.ServerTime, d.ServerPico)
	}
	for name, want := range map[string]ExtensionObject{
		"structure-unknown":    {TypeID: []byte{1, 7, 42, 0}, Encoding: 1, Body: []byte{0xde, 0xad, 0xbe, 0xef, 0x99}},
		"structure-no-body":    {TypeID: []byte{1, 7, 42, 0}},
		"structure-empty-body": {TypeID: []byte{1, 7, 42, 0}, Encoding: 1, Body: []byte{}},
		"structure-null-body":  {TypeID: []byte{1, 7, 42, 0}, Encoding: 1},
		"structure-xml-body":   {TypeID: []byte{3, 2, 0, 1, 0, 0, 0, 'x'}, Encoding: 2, Body: []byte("<a/>")},
	} {
		d, _ := SkimDataValue(vectorNamed(t, name), Limits{})
		got, ok := d.Value.ExtensionObject()
		if !ok || !bytes.Equal(got.TypeID, want.TypeID) || got.Encoding != want.Encoding ||
			!bytes.Equal(got.Body, want.Body) || (got.Body == nil) != (want.Body == nil) {
			t.Errorf("%s: got %x %d %x, want %x %d %x", name, got.TypeID, got.Encoding, got.Body, want.TypeID,
				want.Encoding, want.Body)
		}
	}
}

func TestArraysBeyondTheLibrarysLimit(t *testing.T) {
	const n = 70_000
	raw := append([]byte{1, 0x80 | byte(ua.TypeIDString), 0x70, 0x11, 1, 0},
		bytes.Repeat([]byte{1, 0, 0, 0, 'x'}, n)...)
	d, err := SkimDataValue(raw, Limits{})
	if err != nil || d.Value.Len() != n || !bytes.Equal(d.Raw, raw) {
		t.Fatalf("got %d elements, %v; want %d", d.Value.Len(), err, n)
	}
	r, _ := ParseRange("69999")
	got, err := r.Append(nil, d.Value)
	if want := append([]byte{0x8c, 1, 0, 0, 0}, 1, 0, 0, 0, 'x'); err != nil || !bytes.Equal(got, want) {
		t.Errorf("last element: got %x, %v; want %x", got, err, want)
	}
}
