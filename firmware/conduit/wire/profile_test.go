package wire

import (
	"reflect"
	"testing"
)

func TestParityTable(t *testing.T) {
	table := ParityTable(0.06)
	for k, want := range map[int]int{1: 5, 8: 8, 32: 13} {
		if table[k] != want {
			t.Errorf("k=%d at 6 %%: got %d, want %d", k, table[k], want)
		}
	}
	if !reflect.DeepEqual(ParityTable(0), [MaxSources + 1]int{}) {
		t.Error("a link without loss got parity")
	}
}
