package opcua

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"

	"heliograph/firmware/tx/source"
)

// TestASlowServerComesUp: one that takes so long for a service, and for CreateMonitored-
// Items so long per item that a whole batch is beyond every time-out.
func TestASlowServerComesUp(t *testing.T) {
	for name, quirk := range map[string]func(p *plc){
		"CreateMonitoredItems takes 6 s": func(p *plc) {
			p.delays(6*time.Second,
				id.CreateMonitoredItemsRequest_Encoding_DefaultBinary)
		},
		"CreateMonitoredItems takes 30 s": func(p *plc) {
			p.delays(30*time.Second,
				id.CreateMonitoredItemsRequest_Encoding_DefaultBinary)
		},
		"CreateSubscription takes 30 s": func(p *plc) {
			p.delays(30*time.Second,
				id.CreateSubscriptionRequest_Encoding_DefaultBinary)
		},
		"Browse takes 6 s": func(p *plc) {
			p.delays(6*time.Second,
				id.BrowseRequest_Encoding_DefaultBinary)
		},
		"Read takes 6 s": func(p *plc) {
			p.delays(6*time.Second,
				id.ReadRequest_Encoding_DefaultBinary)
		},
		"CreateMonitoredItems takes 1 s per item": func(p *plc) {
			p.delaysEach(time.Second, id.CreateMonitoredItemsRequest_Encoding_DefaultBinary)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := plant()
			for i := range 300 {
				node := named(fmt.Sprint(i))
				f.add(node, 2, node.Text) // a Variable
				f.refer(named("press"), id.HasComponent, node)
			}
			follows(t, f, func(p *plc, link *port) { quirk(p) },
				func(t *testing.T, p *plc, link *port, s *Source) {
					time.Sleep(30 * time.Minute)
					synctest.Wait()
					if link.reported != source.Up || !link.complete || s.Ready() != nil ||
						s.stats.PolledItems.Load() > 0 {
						t.Errorf("got %v, complete %v, %v, %d polled; want it up, whole, with "+
							"nothing taken for refused", link.reported, link.complete,
							s.Ready(),
							s.stats.PolledItems.Load())
					}
					p.set(named("speed"), int32At(2, time.Now()))
					time.Sleep(time.Second)
					if v, _ := s.valueOf(link, named("speed")); number(v) != 2 {
						t.Errorf("got %d, want 2 by subscription", number(v))
					}
					if p.sessions != 1 {
						t.Errorf("%d sessions of %d are left at the server, want 1", p.sessions,
							p.made)
					}
					t.Logf("%d sessions", p.made)
				})
		})
	}
}

// delaysEach has the server take long for each operation of a service.
func (p *plc) delaysEach(d time.Duration, service uint32) {
	p.delay[service] = func(n int) time.Duration { return time.Duration(n) * d }
}

// delays has the server take long for services.
func (p *plc) delays(d time.Duration, services ...uint32) {
	for _, s := range services {
		p.delay[s] = func(int) time.Duration { return d }
	}
}
