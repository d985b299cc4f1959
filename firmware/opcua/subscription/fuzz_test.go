package subscription

import (
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

func FuzzServe(f *testing.F) {
	for _, req := range []any{
		&ua.CreateMonitoredItemsRequest{RequestHeader: head(), SubscriptionID: 1,
			ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil), eventItem(8, 2, "Severity")}},
		&ua.PublishRequest{RequestHeader: head(),
			SubscriptionAcknowledgements: []*ua.SubscriptionAcknowledgement{{SubscriptionID: 1, SequenceNumber: 1}}},
		&ua.SetTriggeringRequest{RequestHeader: head(), SubscriptionID: 1, TriggeringItemID: 1,
			LinksToAdd: []uint32{1, 2}},
		&ua.TransferSubscriptionsRequest{RequestHeader: head(), SubscriptionIDs: []uint32{1}, SendInitialValues: true},
		&ua.ModifyMonitoredItemsRequest{RequestHeader: head(), SubscriptionID: 1,
			ItemsToModify: []*ua.MonitoredItemModifyRequest{{MonitoredItemID: 1,
				RequestedParameters: watch(tag(1), 1, nil).RequestedParameters}}},
		&ua.SetMonitoringModeRequest{RequestHeader: head(), SubscriptionID: 1, MonitoredItemIDs: []uint32{1}},
		&ua.CallRequest{RequestHeader: head(), MethodsToCall: []*ua.CallMethodRequest{{
			ObjectID:       ua.NewNumericNodeID(0, id.Server),
			MethodID:       ua.NewNumericNodeID(0, id.ConditionType_ConditionRefresh2),
			InputArguments: []*ua.Variant{ua.MustVariant(uint32(1)), ua.MustVariant(uint32(2))},
		}}},
		&ua.CreateSubscriptionRequest{RequestHeader: head()},
		&ua.RepublishRequest{RequestHeader: head(), SubscriptionID: 1, RetransmitSequenceNumber: 1},
	} {
		b, err := channel.Encode(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req, err := channel.Decode(b)
		if err != nil {
			return
		}
		r := newRig(t, Limits{Operations: 10, DataQueue: 5, EventQueue: 5})
		r.put(tag(1), int32(1))
		sub := r.subscribe(alice, nil)
		r.monitor(alice, sub, watch(tag(1), 7, nil), eventItem(8, 2, "Severity"))
		answers := 0
		for range 2 {
			if call, ok := req.(*ua.CallRequest); ok {
				for _, m := range call.MethodsToCall {
					r.e.Method(alice, m)
				}
			}
			r.e.Serve(alice, req, func(body []byte) {
				answers++
				if _, err := channel.Decode(body); err != nil {
					t.Errorf("%T: the answer cannot be read: %v", req, err)
				}
			})
			r.set(tag(1), int32(2))
			r.e.Event(alarm(t, 1, 1, true))
			r.publish(alice)
			r.pass(100 * ms)
		}
		r.e.Reset()
		if answers != 2 {
			t.Errorf("%T: got %d answers to 2 requests", req, answers)
		}
		if st := r.e.Stats(); st.Items != 0 || st.Held != 0 || st.Subscriptions != 0 || len(r.e.shared.users) != 0 {
			t.Errorf("%T: got %+v after everything was deleted, want zeros", req, st)
		}
	})
}
