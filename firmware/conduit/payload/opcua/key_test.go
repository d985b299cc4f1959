package opcua

import (
	"bytes"
	"encoding/hex"
	"testing"

	"heliograph/firmware/opcua/rawvalue"
)

func TestKeyRoundTrip(t *testing.T) {
	for want, k := range map[string]Key{
		"47":                   {Kind: Space},
		"530102030400":         {Kind: Block, Generation: 0x01020304},
		"56000000018001":       {Kind: Value, Generation: 1, Number: 128},
		"54ffffffffffffffff0f": {Kind: Table, Generation: 1<<32 - 1, Number: 1<<32 - 1},
	} {
		b := k.Append(nil)
		got, err := ParseKey(b)
		if hex.EncodeToString(b) != want || err != nil || got != k {
			t.Errorf("%+v is %x, want %s; came back as %+v, %v", k, b, want, got, err)
		}
	}
	c := ConditionKey(7, rawvalue.NodeID{Number: 5}, []byte("branch"))
	if got, err := ParseKey(c); err != nil || got != (Key{Kind: Condition, Generation: 7}) {
		t.Errorf("condition's key came back as %+v, %v", got, err)
	}
	if bytes.Equal(c, ConditionKey(7, rawvalue.NodeID{Number: 5}, nil)) {
		t.Error("two branches of a condition have one key")
	}
}

func TestMalformedKeysAreRefused(t *testing.T) {
	for name, key := range map[string]string{
		"nothing": "", "a longer space": "4700", "unknown kind": "580000000100", "no number": "5600000001",
		"number not minimal": "56000000018000", "number too large": "56000000018080808010",
		"short condition": "430000000100",
	} {
		if got, err := ParseKey(hexBytes(t, key)); err == nil {
			t.Errorf("%s: %s was read as %+v", name, key, got)
		}
	}
}
