package relay

import (
	"context"
	"net"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/firmware/conduit/linktest"
)

// BenchmarkUDP relays bursts of 64 datagrams, so that nothing is lost to a full
// socket. One op is one burst.
func BenchmarkUDP(b *testing.B) {
	const burst, size = 64, 1400
	far, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	relay, err := NewUDP("127.0.0.1:0", far.LocalAddr().String(), linktest.New(1, linktest.Profile{}))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	near, err := net.Dial("udp4", relay.Address())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = near.Close() }()
	out, in := make([]byte, size), make([]byte, size)
	start, relayed := time.Now(), 0
	for b.Loop() {
		for range burst {
			if _, err := near.Write(out); err != nil {
				b.Fatal(err)
			}
		}
		_ = far.SetReadDeadline(time.Now().Add(await.Bound))
		for range burst {
			if _, err := far.Read(in); err != nil {
				b.Fatal(err)
			}
			relayed++
		}
	}
	b.ReportMetric(float64(relayed)/time.Since(start).Seconds(), "datagrams/s")
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
