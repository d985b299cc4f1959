package syslog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
)

var vectors = []Line{
	{Format: RFC5424, Transport: TLS, Sender: netip.MustParseAddr("10.0.0.7"), Text: []byte("<34>1 - - - - - -")},
	{Format: RFC3164, Transport: UDP, Sender: netip.MustParseAddr("fd00::1"), Text: []byte("<13>hi")},
	{Format: Malformed, Transport: TCP, Truncated: true, Text: []byte{0, 0xff, '\n'}},
	{Text: []byte{}},
}

func TestGolden(t *testing.T) {
	content, err := os.ReadFile("testdata/golden.txt")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Fields(string(content))
	if len(want) != len(vectors) {
		t.Fatalf("got %d vectors, want %d", len(want), len(vectors))
	}
	for i, l := range vectors {
		b := Append(nil, l)
		if got := hex.EncodeToString(b); got != want[i] {
			t.Errorf("vector %d: got %s, want %s", i, got, want[i])
		}
		if got, err := Parse(b); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("vector %d: got %+v, %v, want %+v", i, got, err, l)
		}
	}
}

func TestForeignBytesAreRefused(t *testing.T) {
	for _, s := range []string{"", "01", "0101", "020100", "010300", "010c00", "012000", "01010401020", "010103010203",
		"010110" + "00000000000000000000ffff01020304"} {
		b, _ := hex.DecodeString(s)
		if got, err := Parse(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, %v, want ErrMalformed", s, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, l := range vectors {
		f.Add(Append(nil, l))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		if got := Append(nil, l); !bytes.Equal(got, b) {
			t.Errorf("encodes to %x, was %x", got, b)
		}
	})
}
