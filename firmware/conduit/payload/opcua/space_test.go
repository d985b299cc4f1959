package opcua

import (
	"reflect"
	"testing"
)

func TestSpaceHeaderRoundTrip(t *testing.T) {
	want := SpaceHeader{Generation: 9, Namespaces: []string{"http://opcfoundation.org/UA/", "", "urn:x"}}
	b := want.Append(nil)
	var got SpaceHeader
	if err := got.Parse(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for n := range b {
		if got.Parse(b[:n]) == nil {
			t.Errorf("%d of %d bytes were read as %+v", n, len(b), got)
		}
	}
}
