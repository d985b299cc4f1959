package server

import (
	"bytes"
	"testing"
)

func TestValuesAreSetAndRemoved(t *testing.T) {
	v := newValues()
	for n := range uint32(1000) { // of all shards
		v.set(ns0(n), []byte{byte(n)})
	}
	v.set(ns0(1), []byte("newer"))
	v.remove(ns0(2))
	v.remove(ns0(5000))
	if raw, ok := v.get(ns0(1)); !ok || !bytes.Equal(raw, []byte("newer")) {
		t.Errorf("got %q, %v, want the newest value", raw, ok)
	}
	if raw, ok := v.get(ns0(2)); ok {
		t.Errorf("got %q, want none: it was removed", raw)
	}
	if raw, ok := v.get(ns0(999)); !ok || raw[0] != 999&0xff {
		t.Errorf("got %q, %v", raw, ok)
	}
}
