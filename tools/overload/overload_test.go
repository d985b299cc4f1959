package overload

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/wire"
)

// TestHonestTrafficCrosses builds both roles and does all honest work for a
// while without any flood: a measurement whose honest traffic does not arrive
// would say nothing.
func TestHonestTrafficCrosses(t *testing.T) {
	r, err := start(rig.Roles(t))
	if errors.Is(err, errNoBroker) {
		t.Skip("not proved: honest traffic without a flood, because mosquitto is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	seen := map[string]bool{}
	for _, f := range floods() {
		if seen[f.name] {
			t.Errorf("two floods are called %q", f.name)
		}
		seen[f.name] = true
		if rate, err := r.rate(f); err != nil || rate == 0 {
			t.Errorf("%s: got %v honest units a second, %v; want some\n%s", f.name, rate, err, r.logs())
		}
	}
	peaks, err := r.peaks()
	if err != nil || len(peaks) != 2 || peaks[0].Bytes < 1<<20 || filepath.Base(peaks[0].Role) != "heliotx" {
		t.Errorf("got peaks %+v, %v", peaks, err)
	}
}

// The frame of a flood must get as far as a real one would.
func TestHellosAreFlooded(t *testing.T) {
	in, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r := &testbed{ports: ports{link: in.LocalAddr().(*net.UDPAddr).Port}}
	ended := make(chan error, 1)
	go func() { ended <- hellos(t.Context(), r) }()
	seen := map[string]bool{}
	for len(seen) < 3 {
		b := make([]byte, 2048)
		if err := in.SetReadDeadline(time.Now().Add(await.Bound)); err != nil {
			t.Fatal(err)
		}
		n, _, err := in.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		if kind, err := wire.KindOf(b[:n]); err != nil || kind != wire.Hello || !wire.CheckCRC(b[:n]) {
			t.Fatalf("%x is not a hello with a valid CRC: %v", b[:n], err)
		}
		seen[string(bytes.Clone(b[20:36]))] = true
	}
}
