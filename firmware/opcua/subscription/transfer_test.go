package subscription

import (
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

// Publish requests that nothing can answer.
func TestATransferIsReportedToASessionThatNeverPublished(t *testing.T) {
	r := newRig(t, Limits{})
	sub := r.subscribe(alice, nil)
	other := *alice
	other.Session = 2
	r.ask(&other, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}})
	if s, want := notifications(r.publish(alice)), "#1 status/002d0000"; s != want {
		t.Errorf("got %q, want %q", s, want)
	}
}

// a subscription goes to a channel that is not encrypted.
func TestATransferNeedsAnEncryptedChannelAgain(t *testing.T) {
	r := newRig(t, Limits{})
	r.put(tag(1), int32(1))
	r.locked[tag(1)] = true
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, watch(tag(1), 7, nil))
	clear := &Client{Session: 2, User: alice.User}
	r.ask(clear, &ua.TransferSubscriptionsRequest{SubscriptionIDs: []uint32{sub}, SendInitialValues: true})
	got := r.publish(clear)
	r.set(tag(1), int32(42))
	r.pass(150 * time.Millisecond)
	if s := notifications(got); strings.Contains(s, "42") || strings.Contains(s, "=1") {
		t.Errorf("got %q over a channel in the clear, want no value of a node that requires encryption", s)
	}
}
