package client

import (
	"reflect"
	"testing"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/opcua/servertest"
)

func TestNotificationsAreDeliveredInOrderAndAcknowledged(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, _ *Subscription, r *record) {
		f.say(1) // keep-alive
		f.say(1, dataChange(valueOf{1, servertest.Int32(10)}, valueOf{2, servertest.Int32(20)}))
		f.say(2, eventList(eventOf{3, [][]byte{{1, 1}, {0}}}), one(1, 11))
		f.say(3)
		f.say(3, one(2, 21))
		r.want(t, "1=10", "2=20", "event 3 [0101 00]", "1=11", "2=21")
		if want := []acknowledgement{{5, 1}, {5, 2}}; !reflect.DeepEqual(f.acked[:2], want) {
			t.Errorf("got %v, want %v", f.acked, want)
		}
		if n := len(f.publish); n != publishPerSubscription {
			t.Errorf("got %d Publish waiting, want %d", n, publishPerSubscription)
		}
	})
}

func TestOneOddNotificationCostsItsRestOnly(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, r *record) {
		odd := []byte{1, 63}
		f.say(1, dataChange(valueOf{1, servertest.Int32(10)}, valueOf{2, odd},
			valueOf{1, servertest.Int32(11)}),
			one(2, 20))
		f.say(2, eventList(eventOf{3, [][]byte{{0}}}, eventOf{3, [][]byte{{0}, {0}, {0}}},
			eventOf{3, [][]byte{{0}, {0}}}))
		f.say(3, eventList(eventOf{3, [][]byte{{0}, {63}}}))
		f.say(4, one(9, 1)) // no request asked for that
		f.say(5, []byte{1, 2, 3})
		for sequence, odd := range [][]byte{ // that do not even say how much is in them
			extension(id.DataChangeNotification_Encoding_DefaultBinary, []byte{0xff, 0xff, 0, 0}),
			extension(id.EventNotificationList_Encoding_DefaultBinary, []byte{1}),
			extension(id.StatusChangeNotification_Encoding_DefaultBinary, []byte{1}),
			extension(id.ReadRequest_Encoding_DefaultBinary, nil),
		} {
			f.say(uint32(6+sequence), odd)
		}
		f.say(10, one(1, 12))
		r.want(t, "1=10", "fault 2 behind 1 StatusBadDecodingError", "2=20",
			"fault 3 behind 0 StatusBadDecodingError", "fault 3 behind 0 StatusBadDecodingError",
			"event 3 [00 00]",
			"fault 3 behind 0 StatusBadDecodingError", "lost 1", "lost 1", "lost 1", "lost 1", "lost 1",
			"1=12")
		if err := sub.s.Err(); err != nil {
			t.Errorf("got %v, want the session to go on", err)
		}
	})
}

func TestSequenceNumbersSkipZero(t *testing.T) {
	if got := after(1<<32 - 1); got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}
