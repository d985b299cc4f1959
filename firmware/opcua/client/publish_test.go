package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func TestServerThatLostTheSubscriptionsEndsTheSession(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		synctest.Wait()
		f.on(id.PublishRequest_Encoding_DefaultBinary,
			func(call) ([]byte, ua.StatusCode) { return nil, ua.StatusBadNoSubscription })
		f.say(1)
		ended(t, sub.s, ua.StatusBadNoSubscription)
	})
}

func TestServerThatKeepsOnePublishIsGivenOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		f.on(id.PublishRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			f.mu.Lock()
			full := len(f.publish) > 0
			f.mu.Unlock()
			if full {
				return nil, ua.StatusBadTooManyPublishRequests
			}
			return f.normal(c)
		})
		r := &record{}
		sub, err := s.Subscribe(t.Context(), SubscriptionConfig{Interval: 100 * time.Millisecond,
			KeepAlive: 10}, r)
		if err != nil {
			t.Fatal(err)
		}
		if err := sub.Monitor(t.Context(), []Item{{Handle: 1}},
			func(int, ua.StatusCode, Revised) {}); err != nil {
			t.Fatal(err)
		}
		for i := range uint32(10) {
			time.Sleep(200 * time.Millisecond)
			f.say(i+1, one(1, int32(i)))
		}
		if len(r.got) != 10 || s.publisher.most != 1 {
			t.Errorf("got %q with %d requests, want 10 values with 1", r.got, s.publisher.most)
		}
		if n := f.Count(id.PublishRequest_Encoding_DefaultBinary); n > 13 {
			t.Errorf("got %d Publish, want about one per message", n)
		}
	})
}
