package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
)

// newSerial prepares a pair on two pseudo terminals at 921600 baud.
func newSerial(t *testing.T, profile linktest.Profile, tx, rx string) *gateway {
	t.Helper()
	g := &gateway{t: t, dir: t.TempDir(), txStatus: port(t), rxStatus: port(t), link: linktest.New(42, profile)}
	g.tool("key", "new", filepath.Join(g.dir, "pair.key"))
	near, nearPath := drivertest.OpenPTY(t)
	far, farPath := drivertest.OpenPTY(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	room := relay.Buffer(far, 1<<20)
	go func() { defer close(done); _ = relay.Stream(ctx, near, room, g.link, 0) }()
	t.Cleanup(func() { cancel(); <-done; _ = room.Close() })
	conf := func(role, device string, status int, rest string) string {
		path := filepath.Join(g.dir, role+".toml")
		mustWrite(t, path, []byte(fmt.Sprintf("pair = \"e2e\"\n[link]\nmedium = \"uart\"\ndevice = %q\nbaud = 921600\nkey_file = \"pair.key\"\n"+
			"[state]\ndirectory = \"state-%s\"\n[status]\nlisten = \"127.0.0.1:%d\"\n%s", device, role, status, rest)))
		return path
	}
	g.txConf, g.rxConf = conf("tx", nearPath, g.txStatus, tx), conf("rx", farPath, g.rxStatus, rx)
	return g
}

// noise flips bits and loses bytes and words.
var noise = linktest.Profile{BitErrors: 1e-5, DropBytes: 1e-5, Overruns: 1e-5}

// TestUARTCarriesThroughNoise runs both roles on a pair of pseudo terminals at
// 921600 baud, with flipped bits, lost bytes and overruns in between.
func TestUARTCarriesThroughNoise(t *testing.T) {
	const n = 2000
	in, out := port(t), port(t)
	g := newSerial(t, noise, fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nlisten = [\"tcp://127.0.0.1:%d\"]\n", in),
		fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://127.0.0.1:%d\"\n", out))
	var siem collector
	siem.listen(t, out)
	g.startRX()
	g.startTX()
	g.ready()
	var lines []string
	for i := range n {
		lines = append(lines, longLine(i))
	}
	if err := sendLines(in, lines); err != nil {
		t.Fatal(err)
	}
	eventually(t, "lines", func() error {
		if got := len(siem.all()); got < n {
			return fmt.Errorf("got %d of %d, RX %+v", got, n, statusOf(t, g.rxStatus))
		}
		return nil
	})
	sameInOrder(t, "line", siem.all(), lines)
	if c := g.link.Counters(); c.Flipped == 0 || c.Overruns+c.Dropped == 0 {
		t.Errorf("the line was not impaired: %+v", c)
	}
	g.tx.stop()
	g.rx.stop()
}
