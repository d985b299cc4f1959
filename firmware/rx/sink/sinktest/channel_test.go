package sinktest_test

import (
	"testing"

	"heliograph/firmware/rx/sink"
	"heliograph/firmware/rx/sink/sinktest"
)

var _ sink.Channel = (*sinktest.Channel)(nil)

func TestChannelHasTheStateThatTheTestSets(t *testing.T) {
	c := &sinktest.Channel{}
	c.Set("b", []byte("1"))
	c.Set("a", []byte("2"))
	c.Set("b", []byte("3"))
	c.Set("gone", nil)
	c.Delete("gone")
	got := ""
	c.Range(func(key, payload []byte) bool { got += string(key) + string(payload) + " "; return true })
	if got != "b3 a2 " {
		t.Errorf("got %q, want b3 a2", got)
	}
	c.SetConfirmed("a", false)
	if c.Confirmed([]byte("a")) || !c.Confirmed([]byte("b")) {
		t.Error("got another key unconfirmed than a")
	}
}

func TestChannelIsCompleteUnlessTheTestSaysOtherwise(t *testing.T) {
	c := &sinktest.Channel{}
	if h := c.Health(); !h.Complete || h.State != sink.Up || h.Stale {
		t.Errorf("got %+v, want complete and up", h)
	}
	c.SetHealth(sink.Health{Stale: true})
	if h := c.Health(); !h.Stale || h.Complete {
		t.Errorf("got %+v, want stale", h)
	}
}

func TestChannelAddsUpItsAccount(t *testing.T) {
	c := &sinktest.Channel{}
	c.Refused(1)
	c.Refused(2)
	c.Expired(4)
	if c.RefusedTotal() != 3 || c.ExpiredTotal() != 4 {
		t.Errorf("got %d refused and %d expired, want 3 and 4", c.RefusedTotal(), c.ExpiredTotal())
	}
}
