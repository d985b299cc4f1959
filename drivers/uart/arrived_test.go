package uart

import (
	"testing"

	"heliograph/ci/await"
	"heliograph/drivers/drivertest"
)

func TestATransmittersPortCountsWhatComesBack(t *testing.T) {
	far, near := drivertest.OpenPTY(t)
	tx, _, err := OpenTransmitter(near, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Close() }()
	if n, ok := tx.Arrived(); n != 0 || !ok {
		t.Errorf("a one-way line: got %d, %v; want 0", n, ok)
	}
	if _, err := far.WriteString("back"); err != nil {
		t.Fatal(err)
	}
	await.True(t, "4 bytes are counted", func() bool { n, ok := tx.Arrived(); return ok && n == 4 })
}
