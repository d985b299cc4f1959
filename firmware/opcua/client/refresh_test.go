package client

import (
	"slices"
	"testing"
)

func TestConditionRefreshIsTheCallOfThatMethod(t *testing.T) {
	want := []byte{
		1, 0, 0, 0, // one method
		1, 0, 0xde, 0x0a, // of ConditionType, i=2782
		1, 0, 0x23, 0x0f, // ConditionRefresh, i=3875
		1, 0, 0, 0, 7, 5, 0, 0, 0, // with the subscription, a UInt32
	}
	if got := appendConditionRefresh(nil, 5); !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}
