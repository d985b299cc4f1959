package ethernet

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
)

var source = []byte{2, 0, 0, 0, 0, 1}

// packet is what a transmitter with address source sends for a frame.
func packet(frame []byte) []byte {
	h := newHead(source)
	h.setLength(len(frame))
	return append(h[:], frame...)
}

func TestPacketIsWhatItAlwaysWas(t *testing.T) {
	golden, err := os.ReadFile("testdata/packet.hex")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(packet([]byte("heliograph"))), strings.TrimSpace(string(golden)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestOpen(t *testing.T) {
	long := bytes.Repeat([]byte{7}, MaxFrame)
	for name, c := range map[string]struct {
		in   []byte
		want []byte
		ok   bool
	}{
		"as sent":            {packet([]byte("abc")), []byte("abc"), true},
		"padded to 60":       {append(packet([]byte("abc")), make([]byte, 60-headSize-3)...), []byte("abc"), true},
		"longest":            {packet(long), long, true},
		"empty":              {packet(nil), []byte{}, true},
		"longer than a one":  {packet(append(long, 7)), nil, false},
		"length past end":    {packet([]byte("abc"))[:headSize+2], nil, false},
		"length of all ones": {append(packet(nil)[:macSize], 0xff, 0xff, 1, 2), nil, false},
		"without length":     {packet(nil)[:macSize+1], nil, false},
		"nothing":            {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := open(c.in)
			if !bytes.Equal(got, c.want) || ok != c.ok {
				t.Errorf("got %d bytes, %t; want %d bytes, %t", len(got), ok, len(c.want), c.ok)
			}
		})
	}
}

// What opens is inside what came and makes the same packet again.
func FuzzOpen(f *testing.F) {
	f.Add(packet([]byte("abc")))
	f.Add(append(packet(nil), make([]byte, 44)...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, ok := open(b)
		if !ok {
			if frame != nil {
				t.Error("a refused packet has a frame")
			}
			return
		}
		if again := packet(frame); !bytes.HasPrefix(b[macSize:], again[macSize:]) {
			t.Errorf("got %x, want the start of %x", again[macSize:], b[macSize:])
		}
	})
}

func TestOneWayIsInTheTypes(t *testing.T) {
	wrong := map[reflect.Type][]string{
		reflect.TypeFor[*Transmitter](): {"Read", "Receive", "Recv"},
		reflect.TypeFor[*Receiver]():    {"Write", "Send", "Transmit"},
	}
	for typ, words := range wrong {
		for m := range typ.NumMethod() {
			for _, w := range words {
				if name := typ.Method(m).Name; strings.Contains(name, w) {
					t.Errorf("%s has %s", typ, name)
				}
			}
		}
	}
}
