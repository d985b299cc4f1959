package e2e

import (
	"testing"

	"heliograph/ci/await"
	"heliograph/firmware/conduit/linktest"
)

// noise flips bits and loses bytes and words.
var noise = linktest.Profile{BitErrors: 1e-5, DropBytes: 1e-5, Overruns: 1e-5}

// TestUARTCarriesThroughNoise runs both roles on a pair of pseudo terminals at
// 921600 baud, with flipped bits, lost bytes and overruns in between.
func TestUARTCarriesThroughNoise(t *testing.T) {
	t.Parallel()
	const n = 2000
	in, siem := await.FreePort(t), newCollector(t)
	tx, rx := syslogTables(in, siem.port)
	g := newSerial(t, noise, tx, rx)
	g.Start()
	g.Ready()
	var lines []string
	for i := range n {
		lines = append(lines, longLine(i))
	}
	if err := sendLines(in, lines); err != nil {
		t.Fatal(err)
	}
	siem.has(t, n)
	sameButLate(t, "line", siem.all(), lines, g.RX.Channel("syslog").Healed, itself)
	if c := g.Link.Counters(); c.Flipped == 0 || c.Overruns+c.Dropped == 0 {
		t.Errorf("the line was not impaired: %+v", c)
	}
	g.TX.Stop()
	g.RX.Stop()
}
