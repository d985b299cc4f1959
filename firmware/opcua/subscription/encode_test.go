package subscription

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/uabinary"
)

// TestMessagesDecode: what is encoded by hand is read back by the library.
func TestMessagesDecode(t *testing.T) {
	at := time.Unix(1_700_000_000, 500).UTC().Truncate(100)
	response := func(notifications []byte) *ua.RepublishResponse {
		t.Helper()
		b := uabinary.AppendResponseHeader(nil, id.RepublishResponse_Encoding_DefaultBinary, 7, ua.StatusOK, at)
		v, err := channel.Decode(appendMessage(b, 42, at, notifications))
		if err != nil {
			t.Fatal(err)
		}
		return v.(*ua.RepublishResponse)
	}
	keepAlive := response(nil).NotificationMessage
	if keepAlive.SequenceNumber != 42 || !keepAlive.PublishTime.Equal(at) || len(keepAlive.NotificationData) != 0 {
		t.Errorf("a keep-alive is %+v", keepAlive)
	}
	changed := response(appendStatusChange(ua.StatusBadTimeout)).NotificationMessage.NotificationData
	if len(changed) != 1 {
		t.Fatalf("got %d notifications, want a status change", len(changed))
	}
	if n, ok := changed[0].Value.(*ua.StatusChangeNotification); !ok || n.Status != ua.StatusBadTimeout {
		t.Errorf("a status change is %+v", changed[0].Value)
	}
	var b batch
	it := &item{handle: 9, attribute: ua.AttributeIDValue, timestamps: ua.TimestampsToReturnNeither}
	for n := range int32(3) {
		b.add(it, &entry{raw: dataValue(t, n, 0), overflow: n == 2}, 0)
	}
	it.events = true
	b.add(it, &entry{raw: []byte{0, 0}, fields: 2}, 0)
	data := response(b.body()).NotificationMessage.NotificationData
	if len(data) != 2 || b.count() != 4 {
		t.Fatalf("got %d notifications of %d entries, want values and events", len(data), b.count())
	}
	values := data[0].Value.(*ua.DataChangeNotification).MonitoredItems
	if len(values) != 3 || values[2].ClientHandle != 9 || values[1].Value.Value.Value() != int32(1) {
		t.Errorf("the values are %+v", values)
	}
	const overflow = 0x480
	if values[2].Value.Status&overflow != overflow || values[1].Value.Status != 0 {
		t.Errorf("got %v and %v, want the overflow bit on the last", values[1].Value.Status, values[2].Value.Status)
	}
	events := data[1].Value.(*ua.EventNotificationList).Events
	if len(events) != 1 || events[0].ClientHandle != 9 || len(events[0].EventFields) != 2 {
		t.Errorf("the events are %+v", events)
	}
}
