package codeword

import (
	"bytes"
	"testing"
)

func TestNoiseIsTheSequenceOfCCSDS(t *testing.T) {
	want := []byte{0xFF, 0x48, 0x0E, 0xC0, 0x9A}
	if !bytes.Equal(noise[:5], want) {
		t.Errorf("PN starts %x, want %x", noise[:5], want)
	}
}
