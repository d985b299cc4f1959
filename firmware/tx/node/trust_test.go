package node

import (
	"os"
	"slices"
	"testing"
	"testing/synctest"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
)

func TestAHangupHasOPCUASourcesBrowse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangup := make(chan os.Signal, 1)
		c := testConfig(t)
		c.Hangup = hangup
		c.TX.OPCUA = []config.OPCUASource{{Channel: "press-line"}, {Channel: "oven"}}
		r := newRig(t, c)
		r.run(t, func() {
			settle()
			for want := int32(1); want <= 2; want++ {
				hangup <- os.Interrupt
				synctest.Wait()
				for _, channel := range []string{"press-line", "oven"} {
					if got := r.plant(channel).browsed.Load(); got != want {
						t.Errorf("%s: browsed %d times, want %d", channel, got, want)
					}
				}
			}
		})
	})
}

func TestAChangeOfTrustReconnectsOPCUASources(t *testing.T) {
	c := testConfig(t)
	c.TX.OPCUA = []config.OPCUASource{{Channel: "press-line"}}
	r := newRig(t, c)
	r.trustChanged()
	if got := r.plant("press-line").reconnects.Load(); got != 1 {
		t.Errorf("reconnected %d times, want once", got)
	}
	if !slices.ContainsFunc(r.Snapshot().Notes, func(n status.Note) bool { return n.Event == "trust_changed" }) {
		t.Errorf("got %+v, want trust_changed among them", r.Snapshot().Notes)
	}
}
