package client

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

// record is a Handler that writes down what it is given.
type record struct {
	mu   sync.Mutex
	got  []string
	wait chan struct{} // Data waits for it, if there is one
}

func (r *record) add(format string, a ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, fmt.Sprintf(format, a...))
}

func (r *record) Data(handle uint32, dv rawvalue.DataValue) {
	if r.wait != nil {
		<-r.wait
	}
	n, _ := integer(dv.Value)
	r.add("%d=%d", handle, n)
}
func (r *record) Events(handle uint32, fields [][]byte) { r.add("event %d %x", handle, fields) }
func (r *record) Status(code ua.StatusCode)             { r.add("%s", codeName(code)) }
func (r *record) Lost(n int)                            { r.add("lost %d", n) }
func (r *record) Fault(handle uint32, behind int, err error) {
	r.add("fault %d behind %d %s", handle, behind, codeName(codeOf(err)))
}

func (r *record) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !reflect.DeepEqual(r.got, want) {
		t.Errorf("got %q, want %q", r.got, want)
	}
}

// subscribed runs a test with a subscription of 100 ms, a keep-alive each second, and
// the items 1 (a value), 2 (a value) and 3 (events with two fields).
func subscribed(t *testing.T, test func(t *testing.T, f *fake, sub *Subscription, r *record)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		r := &record{}
		sub, err := s.Subscribe(t.Context(), SubscriptionConfig{Interval: 100 * time.Millisecond,
			KeepAlive: 10}, r)
		if err != nil {
			t.Fatal(err)
		}
		events := Events([]SelectClause{{}, {}})
		err = sub.Monitor(t.Context(), []Item{{Handle: 1}, {Handle: 2}, {Handle: 3, Filter: events}},
			func(i int, status ua.StatusCode, got Revised) {
				if want := (Revised{Sampling: 50 * time.Millisecond, Queue: 7}); status != 0 ||
					!reflect.DeepEqual(got, want) {
					t.Errorf("item %d: got %v %+v, want good %+v", i, status, got, want)
				}
			})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // Publish waits at the server
		test(t, f, sub, r)
	})
}

func one(handle uint32, v int32) []byte { return dataChange(valueOf{handle, servertest.Int32(v)}) }

// republishes has the fake send messages again that a test names.
func republishes(f *fake, stored map[uint32][]byte) {
	f.on(id.RepublishRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
		c.Uint32()
		if m, ok := stored[c.Uint32()]; ok {
			return m, 0
		}
		return nil, ua.StatusBadMessageNotAvailable
	})
}

func TestMissingMessagesAreSentAgainOrReportedLost(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, _ *Subscription, r *record) {
		republishes(f, map[uint32][]byte{3: notificationMessage(3, one(1, 3)),
			4: notificationMessage(9, one(1, 9))})
		f.say(1, one(1, 1))
		f.say(5, one(1, 5)) // 2, 3 and 4 are missing
		r.want(t, "1=1")
		time.Sleep(reorderWait)
		r.want(t, "1=1", "lost 1", "1=3", "lost 1", "1=5")
		f.say(7) // a keep-alive that names a message after a missing one
		time.Sleep(reorderWait)
		r.want(t, "1=1", "lost 1", "1=3", "lost 1", "1=5", "lost 1")
	})
}

func TestMessagesThatOvertakeOneAnotherAreNotAskedForAgain(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, _ *Subscription, r *record) {
		f.say(2, one(1, 2))
		f.say(3, one(1, 3))
		f.say(1, one(1, 1))
		f.say(3, one(1, 3)) // twice
		time.Sleep(time.Second)
		r.want(t, "1=1", "1=2", "1=3")
		if n := f.Count(id.RepublishRequest_Encoding_DefaultBinary); n != 0 {
			t.Errorf("got %d Republish, want none", n)
		}
	})
}

func TestAHugeGapIsNotAskedForMessageByMessage(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, _ *Subscription, r *record) {
		republishes(f, nil)
		f.say(1<<31-1, one(1, 1))
		time.Sleep(time.Second)
		r.want(t, fmt.Sprintf("lost %d", 1<<31-2), "1=1")
		if n := f.Count(id.RepublishRequest_Encoding_DefaultBinary); n > maxRepublish {
			t.Errorf("got %d Republish, want at most %d", n, maxRepublish)
		}
	})
}

func TestSilentSubscriptionEndsTheSession(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		for range 20 { // while there are keep-alives it goes on
			time.Sleep(time.Second)
			f.say(1)
		}
		if err := sub.s.Err(); err != nil {
			t.Fatalf("got %v, want a session that goes on", err)
		}
		time.Sleep(9 * time.Second) // the server answers what it is asked for
		if err := sub.s.Err(); err != nil {
			t.Fatalf("got %v too early", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		ended(t, sub.s, ua.StatusBadTimeout)
	})
}

func TestABusyServerKeepsItsSession(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		f.say(1)
		f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			time.Sleep(time.Second) // it is at work
			return f.normal(c)
		})
		time.Sleep(busySilence / 2) // longer than it promised, and it answers other requests
		f.say(1)
		time.Sleep(busySilence / 2)
		if err := sub.s.Err(); err != nil {
			t.Errorf("got %v, want a session that goes on", err)
		}
		f.on(id.ReadRequest_Encoding_DefaultBinary, f.normal)
		time.Sleep(2 * time.Second)
	})
}

func TestStaleMessagesAreNoSignOfLife(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		f.say(1, one(1, 1))
		f.say(2, one(1, 2))
		for range 2 * busySilence / time.Second {
			time.Sleep(time.Second)
			if sub.s.Err() != nil {
				break
			}
			f.say(1, one(1, 1))
		}
		ended(t, sub.s, ua.StatusBadTimeout)
	})
}

func TestASlowHandlerIsNotTakenForASilentServer(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, r *record) {
		r.wait = make(chan struct{})
		for i := range uint32(queued + 1 + publishPerSubscription) {
			f.say(i+1, one(1, int32(i+1)))
		}
		if n := len(f.publish); n != 0 {
			t.Errorf("got %d Publish waiting, want none while the handler is busy", n)
		}
		time.Sleep(time.Minute)
		if err := sub.s.Err(); err != nil {
			t.Fatalf("got %v, want a session that goes on", err)
		}
		close(r.wait)
		synctest.Wait()
		if len(r.got) != queued+1+publishPerSubscription || len(f.publish) != publishPerSubscription {
			t.Errorf("got %q and %d Publish, want all values and %d", r.got, len(f.publish),
				publishPerSubscription)
		}
	})
}

func TestServerEndsASubscription(t *testing.T) {
	for _, code := range []ua.StatusCode{ua.StatusBadTimeout, ua.StatusGoodSubscriptionTransferred} {
		subscribed(t, func(t *testing.T, f *fake, sub *Subscription, r *record) {
			f.say(1, extension(id.StatusChangeNotification_Encoding_DefaultBinary,
				append(appendUint32(nil, uint32(code)), 0)))
			r.want(t, codeName(code))
			select {
			case <-sub.Done():
			default:
				t.Error("got a subscription that goes on, want it gone")
			}
			if err := sub.s.Err(); err != nil {
				t.Errorf("got %v, want the session to go on", err)
			}
		})
	}
}

func TestADeletedSubscriptionReportsNothing(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, r *record) {
		if err := sub.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.say(1, one(1, 1))
		r.want(t)
		f.say(1, one(1, 1))
		if n := len(f.publish); n != 0 {
			t.Errorf("got %d Publish waiting, want none without a subscription", n)
		}
		if sub, err := sub.s.Subscribe(t.Context(), SubscriptionConfig{}, r); err != nil || sub == nil {
			t.Errorf("got %v, want another subscription", err)
		}
	})
}
