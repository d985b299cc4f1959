package client

import (
	"testing"
	"testing/synctest"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

func TestAnnouncedLimitsAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.perRead = 17
		if s := f.connect(); s.Limits() != (Limits{NodesPerRead: 17}) || s.batches.read.size() != 17 {
			t.Errorf("got %+v and batches of %d, want 17 nodes per Read", s.Limits(), s.batches.read.size())
		}
	})
}

func TestIntegersOfAnyType(t *testing.T) {
	for name, c := range map[string]struct {
		raw  []byte
		want int64
		ok   bool
	}{
		"Byte":    {[]byte{1, byte(ua.TypeIDByte), 200}, 200, true},
		"UInt16":  {[]byte{1, byte(ua.TypeIDUint16), 1, 2}, 513, true},
		"Int32":   {servertest.Int32(-3), -3, true},
		"UInt32":  {servertest.Uint32(1 << 31), 1 << 31, true},
		"Boolean": {[]byte{1, byte(ua.TypeIDBoolean), 1}, 0, false},
		"array":   {[]byte{1, 0x80 | byte(ua.TypeIDByte), 1, 0, 0, 0, 7}, 0, false},
		"null":    {[]byte{1, 0}, 0, false},
	} {
		dv, err := rawvalue.SkimDataValue(c.raw, rawvalue.Limits{})
		if got, ok := integer(dv.Value); err != nil || got != c.want || ok != c.ok {
			t.Errorf("%s: got %d, %v (%v); want %d, %v", name, got, ok, err, c.want, c.ok)
		}
	}
}
