package uart

import (
	"testing"
	"time"

	"heliograph/drivers/drivertest"
)

func TestBytesThatComeOneByOneAreReadTogether(t *testing.T) {
	far, near := drivertest.OpenPTY(t)
	rx, _, err := OpenReceiver(near, 921600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rx.Close() }()
	const much = 20_000
	go func() {
		for range much {
			_, _ = far.Write([]byte{0})
		}
	}()
	begin, bytes, reads := time.Now(), 0, 0 // reads that filled less than half of the buffer
	for bytes < much {
		err := rx.Receive(time.Minute, func(b []byte) {
			if bytes += len(b); len(b) < len(rx.buffer)/2 {
				reads++
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if most := int(time.Since(begin)/gather) + 1; reads > most {
		t.Errorf("%d bytes came in %d reads, want at most %d", much, reads, most)
	}
}
