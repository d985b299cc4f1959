package drivertest

import (
	"testing"
	"time"
)

func TestPipeKeepsOrderAndItsBound(t *testing.T) {
	p := NewPipe(2)
	if n, err := p.Transmit([][]byte{{1}, {2}, {3}}); n != 2 || err != nil {
		t.Errorf("Transmit = %d, %v; want 2, nil", n, err)
	}
	var got []byte
	for range 3 {
		_ = p.Receive(time.Millisecond, func(b []byte) { got = append(got, b...) })
	}
	if string(got) != "\x01\x02" {
		t.Errorf("received %v, want [1 2]", got)
	}
}
