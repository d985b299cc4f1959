package subscription

import (
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

// an item is entered under its subscription's lock and reads the address space; an
// event reads the address space and waits for that lock, with a writer between them.
func TestEventsChangesAndNewItemsDoNotDeadlock(t *testing.T) {
	r := newRig(t, Limits{})
	nodes := &spacious{r}
	r.e.cfg.Nodes = nodes
	r.put(tag(1), int32(1))
	sub := r.subscribe(alice, nil)
	r.monitor(alice, sub, eventItem(7, 2, "Severity"))
	stop := time.Now().Add(time.Second) // for as long as the three meet
	done := make(chan string, 3)
	ev := alarm(t, 1, 1, true)
	go func() {
		for time.Now().Before(stop) {
			r.e.Event(ev)
		}
		done <- "events"
	}()
	go func() {
		for time.Now().Before(stop) {
			_, _ = r.e.cfg.Space.Apply(
				[]addrspace.Change{{Kind: addrspace.Put,
					Node: addrspace.Node{ID: tag(9),
						Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass,
							Value: dataValue(t, int32(1), 0)},
							{ID: ua.AttributeIDBrowseName, Value: dataValue(t, &ua.QualifiedName{Name: "x"}, 0)}}}}})
		}
		done <- "changes"
	}()
	go func() {
		for time.Now().Before(stop) {
			r.e.Serve(alice,
				&ua.CreateMonitoredItemsRequest{RequestHeader: &ua.RequestHeader{}, SubscriptionID: sub,
					ItemsToCreate: []*ua.MonitoredItemCreateRequest{watch(tag(1), 7, nil)}}, func([]byte) {})
		}
		done <- "items"
	}()
	for range 3 {
		await.Receive(t, "no deadlock of events, changes and new items", done)
	}
}

// spacious asks the address space, as the server does.
type spacious struct{ *rig }

func (s *spacious) AppendAttribute(dst []byte, c *Client, node rawvalue.NodeID, a ua.AttributeID) []byte {
	s.e.cfg.Space.View(func(addrspace.View) { dst = s.rig.AppendAttribute(dst, c, node, a) })
	return dst
}
