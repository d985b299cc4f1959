package ethernet

import (
	"log/slog"
	"testing"

	"heliograph/ci/await"
	"heliograph/drivers/ethernet/ethernettest"
)

func TestATransmittersInterfaceCountsWhatComesBack(t *testing.T) {
	ethernettest.Namespace(t, "that what comes back to a transmitter is counted")
	ethernettest.Cable(t, "near", "far")
	tx, err := OpenTransmitter(Port{Interface: "near"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Close() }()
	before, ok := tx.Arrived()
	if !ok {
		t.Fatal("the interface is not counted")
	}
	tap := ethernettest.OpenTap(t, "far")
	sends(t, "far")
	frame := make([]byte, 60)
	for i := range 6 {
		frame[i] = 0xff // to all
	}
	tap.Send(t, frame)
	await.True(t, "a frame is counted", func() bool { n, _ := tx.Arrived(); return n == before+1 })
}
