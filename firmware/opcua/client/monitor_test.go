package client

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func TestMonitorReportsEachItemAndAdaptsToSmallServers(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, r *record) {
		f.on(id.CreateMonitoredItemsRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			probe := c
			probe.Skip(8)
			if probe.Length(1) > 10 {
				return nil, ua.StatusBadTooManyOperations
			}
			return f.monitored(c, func(i int) ua.StatusCode {
				if i == 0 {
					return ua.StatusBadTooManyMonitoredItems
				}
				return 0
			}), 0
		})
		items := make([]Item, 64)
		for i := range items {
			items[i].Handle = uint32(100 + i)
		}
		bad, next := 0, 0
		err := sub.Monitor(t.Context(), items, func(i int, status ua.StatusCode, _ Revised) {
			if i != next {
				t.Errorf("got item %d, want %d", i, next)
			}
			if next++; status == ua.StatusBadTooManyMonitoredItems {
				bad++
			}
		})
		if err != nil || next != 64 || bad != 8 {
			t.Errorf("got %v, %d items, %d refused; want 64 and 8", err, next, bad)
		}
		f.say(1, one(100, 1), one(101, 1)) // 100 was refused
		r.want(t, "101=1")
		if err := sub.Monitor(t.Context(), []Item{{Handle: 7}, {Handle: 101}}, nil); err == nil ||
			!strings.Contains(err.Error(), "in use") {
			t.Errorf("got %v, want a handle in use", err)
		}
	})
}

func TestMonitorRefusesAnotherNumberOfResults(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		f.on(id.CreateMonitoredItemsRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			return append(appendUint32(nil, 2), make([]byte, 60)...), 0
		})
		if err := sub.Monitor(t.Context(), []Item{{Handle: 50}},
			nil); codeOf(err) != ua.StatusBadDecodingError {
			t.Errorf("got %v, want Bad_DecodingError", err)
		}
	})
}

func TestAnUnmonitoredItemReportsNothing(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, r *record) {
		var deleted []uint32
		f.on(id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			c.Skip(4)
			n := c.Length(4)
			b := appendUint32(nil, uint32(n))
			for range n {
				deleted = append(deleted, c.Uint32())
				b = appendUint32(b, 0)
			}
			return b, 0
		})
		if err := sub.Unmonitor(t.Context(), []uint32{2, 77}); err != nil {
			t.Fatal(err)
		}
		f.say(1, one(2, 1), one(1, 1))
		r.want(t, "1=1")
		if want := []uint32{101}; !reflect.DeepEqual(deleted, want) {
			t.Errorf("got %v deleted, want %v", deleted, want)
		}
	})
}

func TestServerThatRefusesAllForTheNumberOfItemsIsGivenWhatFits(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		room := 37
		f.on(id.CreateMonitoredItemsRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			probe := c
			probe.Skip(8)
			n := probe.Length(1)
			if n > room {
				return nil, ua.StatusBadTooManyMonitoredItems
			}
			room -= n
			return f.monitored(c, func(int) ua.StatusCode { return 0 }), 0
		})
		items := make([]Item, 100)
		for i := range items {
			items[i].Handle = uint32(100 + i)
		}
		var good, refused int
		err := sub.Monitor(t.Context(), items, func(i int, status ua.StatusCode, _ Revised) {
			if status == ua.StatusBadTooManyMonitoredItems {
				refused++
			} else if good++; i >= 37 {
				t.Errorf("item %d: got %v, want it refused", i, status)
			}
		})
		if err != nil || good != 37 || refused != 63 {
			t.Errorf("got %v, %d made, %d refused; want 37 and 63", err, good, refused)
		}
	})
}
