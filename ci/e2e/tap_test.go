package e2e

import (
	"bytes"
	"net"
	"sync"
	"testing"

	"heliograph/ci/rig"
)

// tap sits between the transmitter and the relay, notes every frame, and can
// play frames back.
type tap struct {
	mu  sync.Mutex
	got [][]byte
	to  net.Conn
}

// tap puts a tap before the link. To be called before TX starts.
func (g *gateway) tap() *tap {
	g.t.Helper()
	from, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		g.t.Fatal(err)
	}
	to, err := net.Dial("udp", g.Enter)
	if err != nil {
		g.t.Fatal(err)
	}
	x := &tap{to: to}
	g.t.Cleanup(func() { _ = from.Close(); _ = to.Close() })
	go func() {
		b := make([]byte, 2048)
		for {
			n, _, err := from.ReadFrom(b)
			if err != nil {
				return
			}
			x.mu.Lock()
			x.got = append(x.got, bytes.Clone(b[:n]))
			x.mu.Unlock()
			_, _ = to.Write(b[:n])
		}
	}()
	rest := rig.Read(g.t, g.TX.Config)
	rest = bytes.Replace(rest, []byte(g.Enter), []byte(from.LocalAddr().String()), 1)
	rig.Write(g.t, g.TX.Config, rest)
	return x
}

func (x *tap) frames() [][]byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([][]byte(nil), x.got...)
}

func (x *tap) play(t *testing.T, frames [][]byte) {
	t.Helper()
	for _, f := range frames {
		if _, err := x.to.Write(f); err != nil {
			t.Fatal(err)
		}
	}
}
