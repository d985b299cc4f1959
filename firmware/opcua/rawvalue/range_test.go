package rawvalue

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gopcua/opcua/ua"
)

func variantOf(t testing.TB, v any) Variant {
	t.Helper()
	raw, err := ua.MustVariant(v).Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := SkimVariant(raw, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestIndexRangesSelectWhatTheStandardSays(t *testing.T) {
	cube := [][][]int16{{{0, 1}, {2, 3}, {4, 5}}, {{6, 7}, {8, 9}, {10, 11}}}
	words := []string{"alpha", "水ab", "", "z"}
	for name, c := range map[string]struct {
		value any
		rng   string
		want  any // nil: Bad_IndexRangeNoData
	}{
		"one element":                 {[]int32{5, 6, 7}, "1", []int32{6}},
		"some elements":               {[]int32{5, 6, 7, 8}, "1:2", []int32{6, 7}},
		"beyond the end, partly":      {[]int32{5, 6, 7}, "2:9", []int32{7}},
		"beyond the end":              {[]int32{5, 6, 7}, "3:9", nil},
		"the largest index":           {[]int32{5}, "0:4294967295", []int32{5}},
		"elements of varying size":    {words, "1:2", []string{"水ab", ""}},
		"byte array":                  {ua.ByteArray{1, 2, 3}, "1:2", ua.ByteArray{2, 3}},
		"matrix":                      {[][]int32{{1, 2, 3}, {4, 5, 6}}, "1,0:1", [][]int32{{4, 5}}},
		"matrix of strings":           {[][]string{{"a", "b"}, {"c", "d"}}, "0:1,1", [][]string{{"b"}, {"d"}}},
		"cube":                        {cube, "0:1,2,1", [][][]int16{{{5}}, {{11}}}},
		"cube beyond the end, partly": {cube, "1:9,1:9,0:9", [][][]int16{{{8, 9}, {10, 11}}}},
		"cube beyond the end in one":  {cube, "0:1,3,0:1", nil},
		"too few dimensions":          {cube, "0:1,2", nil},
		"too many dimensions":         {[]int32{1, 2}, "0,0", nil},
		"substring":                   {"abcdef", "2:3", "cd"},
		"one character":               {"abcdef", "2", "c"},
		"characters, not bytes":       {"a水b", "1:2", "水b"},
		"substring beyond the end":    {"abc", "3", nil},
		"bytes":                       {[]byte{1, 2, 3, 4}, "1:2", []byte{2, 3}},
		"within each string":          {[]string{"alpha", "beta"}, "0:1,1:2", []string{"lp", "et"}},
		// the library writes "" as null
		"within some strings":        {words, "0:3,1", []string{"l", "a", "", ""}},
		"within no string":           {words, "2:3,1", nil},
		"two dimensions on a string": {"abc", "0,0", nil},
		"scalar number":              {int32(5), "0", nil},
		"null":                       {nil, "0", nil},
		"null array":                 {[]int32(nil), "0", nil},
		"empty array":                {[]int32{}, "0", nil},
		"within strings of a matrix": {[][]string{{"ab", "cd"}, {"ef", "gh"}}, "0:1,0,1",
			[][]string{{"b"}, {"f"}}},
		"array of structures": {[]*ua.ExtensionObject{ua.NewExtensionObject(&ua.Range{High: 1}),
			ua.NewExtensionObject(nil)}, "1", []*ua.ExtensionObject{ua.NewExtensionObject(nil)}},
		"array of variants": {[]*ua.Variant{ua.MustVariant(int8(1)), ua.MustVariant("x")}, "1",
			[]*ua.Variant{ua.MustVariant("x")}},
		"no dimension within XML element": {ua.XMLElement("<a/>"), "0", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := ParseRange(c.rng)
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Append([]byte("kept"), variantOf(t, c.value))
			got, kept := bytes.CutPrefix(got, []byte("kept"))
			if !kept {
				t.Errorf("what stood before is gone: %x", got)
			}
			if c.want == nil {
				var e *Error
				if !errors.As(err, &e) || e.Code != ua.StatusBadIndexRangeNoData || len(got) != 0 {
					t.Errorf("got %x, %v; want Bad_IndexRangeNoData", got, err)
				}
				return
			}
			want := variantOf(t, c.want).Raw
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %x, %v; want %x", got, err, want)
			}
			if again, err := SkimVariant(got, Limits{}); err != nil || len(again.Raw) != len(got) {
				t.Errorf("result cannot be skimmed: %v", err)
			}
		})
	}
}

func TestByteStringArraysAreIndexed(t *testing.T) {
	d, err := SkimDataValue(vectorNamed(t, "bytestring-array"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for rng, want := range map[string][]byte{
		"0:1":     {0x8f, 2, 0, 0, 0, 2, 0, 0, 0, 1, 2, 0xff, 0xff, 0xff, 0xff},
		"0:2,1:7": {0x8f, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	} {
		r, _ := ParseRange(rng)
		if got, err := r.Append(nil, d.Value); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v; want %x", rng, got, err, want)
		}
	}
}

func TestIndexRangesOfOtherFormsAreInvalid(t *testing.T) {
	for _, s := range []string{",", "1,", ",1", ":", "1:", ":1", "2:1", "1:1", "-1", "+1", " 1", "1 ", "1:2:3", "a",
		"1_0", "0x1",
		"4294967296", "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0"} {
		var e *Error
		if r, err := ParseRange(s); !errors.As(err, &e) || e.Code != ua.StatusBadIndexRangeInvalid {
			t.Errorf("%q: got %+v, %v; want Bad_IndexRangeInvalid", s, r, err)
		}
	}
	if r, err := ParseRange(""); err != nil || !r.Whole() {
		t.Errorf("empty: got %+v, %v; want the whole", r, err)
	}
}
