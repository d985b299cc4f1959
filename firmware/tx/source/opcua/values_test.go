package opcua

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/rawvalue"
)

// remake deletes a node and makes it again under its NodeId: its items are dead.
func (p *plc) remake(node rawvalue.NodeID, code ua.StatusCode, dataValue []byte) {
	p.set(node, rawvalue.AppendStatus(nil, code, rawvalue.Answer{}))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sub := range p.subs {
		for h, it := range sub.items {
			if it.node == node {
				delete(sub.items, h)
			}
		}
	}
	p.values[node] = dataValue
}

func TestANodeThatWasMadeAgainComesBack(t *testing.T) {
	for _, code := range []ua.StatusCode{ua.StatusBadNodeIDUnknown, ua.StatusBadMonitoredItemIDInvalid,
		ua.StatusBadOutOfService} {
		t.Run(code.Error(), func(t *testing.T) {
			follows(t, plant(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
				p.remake(named("speed"), code, int32At(2, time.Now()))
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if v, _ := s.valueOf(link, named("speed")); v.Status != code {
					t.Fatalf("got %v, want what the server said", v.Status)
				}
				s.Browse()
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if v, _ := s.valueOf(link, named("speed")); v.Status != 0 || number(v) != 2 {
					t.Errorf("after the next browse: got %v and %d, want 2", v.Status, number(v))
				}
				p.set(named("speed"), int32At(3, time.Now()))
				time.Sleep(time.Second)
				synctest.Wait()
				if v, _ := s.valueOf(link, named("speed")); number(v) != 3 {
					t.Errorf("got %d, want 3 by a new item", number(v))
				}
			})
		})
	}
}

func TestANamespaceThatAppearsIsFollowedAtTheNextBrowse(t *testing.T) {
	follows(t, plant(), func(p *plc, link *port) { p.namespaces = []string{"urn:press"} },
		func(t *testing.T, p *plc, link *port, s *Source) {
			generation := s.model.Generation
			p.quirk(func() { p.namespaces = append(p.namespaces, "urn:late") })
			time.Sleep(11 * time.Minute) // rebrowse, with no event before it
			synctest.Wait()
			var got payload.SpaceHeader
			if err := got.Parse(link.state["G"]); err != nil || len(got.Namespaces) != 3 ||
				got.Generation != generation {
				t.Errorf("got %+v, %v; want the new namespace in the same generation", got, err)
			}
		})
}
