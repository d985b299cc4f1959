package mosquitto_test

import (
	"net"
	"testing"

	"heliograph/ci/rig/mosquitto"
)

func TestBrokerRunsAgainOnItsAddress(t *testing.T) {
	b := mosquitto.Start(t, "starting mosquitto", mosquitto.Persistent)
	b.Kill()
	if c, err := net.Dial("tcp", b.Address); err == nil {
		c.Close()
		t.Error("a killed broker listens")
	}
	b.Run()
	if b.URL() != "mqtt://127.0.0.1:"+b.Port() || b.Saved("no such words") {
		t.Errorf("got %q, and words that were not published", b.URL())
	}
}
