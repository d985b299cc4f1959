package opcua

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
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

// TestASnapshotThatWasInterruptedIsNotComplete: a session that ends during the first crawl
// leaves nothing that passes for the whole address space.
func TestASnapshotThatWasInterruptedIsNotComplete(t *testing.T) {
	const many = 2 * batch
	for name, crossed := range map[string]bool{"before a node has crossed": false, "after some nodes have": true} {
		t.Run(name, func(t *testing.T) {
			f := plant()
			for i := range many {
				node := named(fmt.Sprint(i))
				f.add(node, ua.NodeClassVariable, node.Text)
				f.refer(named("press"), id.HasComponent, node)
			}
			synctest.Test(t, func(t *testing.T) {
				p, link := newPLC(t, f), &port{}
				p.delays(3*time.Second, id.BrowseRequest_Encoding_DefaultBinary, id.ReadRequest_Encoding_DefaultBinary)
				s := p.mirrored(link)
				for p.Count(id.BrowseRequest_Encoding_DefaultBinary) == 0 || crossed && link.blocks() == 0 {
					time.Sleep(100 * time.Millisecond)
				}
				before, _ := link.shown()
				s.Reconnect()
				for range 300 {
					time.Sleep(time.Second)
					synctest.Wait()
					if _, complete := link.shown(); complete && link.blocks() < many/payload.BlockNodes {
						t.Fatalf("complete with %d blocks", link.blocks())
					}
				}
				after, complete := link.shown()
				// What has crossed is old until it has come again.
				want := []source.State{source.Down, source.Up}
				if crossed {
					want = []source.State{source.Down, source.Connecting, source.Up}
				}
				if got := after[len(before):]; !slices.Equal(got, want) {
					t.Errorf("got the states %v, want %v", got, want)
				}
				if n := s.stats.Sessions.Load(); n != 2 || !complete {
					t.Errorf("%d sessions, complete %v; want it complete in the second", n, complete)
				}
			})
		})
	}
}

// blocks is how many blocks of nodes have crossed.
func (p *port) blocks() (n int) {
	p.Range(func(key, _ []byte) bool {
		if k, err := payload.ParseKey(key); err == nil && k.Kind == payload.Block {
			n++
		}
		return true
	})
	return n
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
