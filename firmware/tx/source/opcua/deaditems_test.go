package opcua

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// silence ends the items of a node, and reports nothing of that.
func (p *plc) silence(node rawvalue.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sub := range p.subs {
		for h, it := range sub.items {
			if it.node == node {
				delete(sub.items, h)
			}
		}
	}
}

func TestAnItemThatStopsReportingIsMonitoredAgain(t *testing.T) {
	follows(t, plant(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
		for round := range int32(3) {
			p.silence(named("speed"))
			p.set(named("speed"), int32At(10*round+2, time.Now()))
			time.Sleep(10 * time.Minute) // several passes: one that was monitored again is skipped in some
			synctest.Wait()
			if v, _ := s.valueOf(link, named("speed")); v.Status != 0 || number(v) != 10*round+2 {
				t.Fatalf("round %d: got %v and %d, want what the server has", round, v.Status,
					number(v))
			}
			p.set(named("speed"), int32At(10*round+3, time.Now()))
			time.Sleep(time.Second)
			synctest.Wait()
			if v, _ := s.valueOf(link, named("speed")); number(v) != 10*round+3 {
				t.Errorf("round %d: got %d, want %d by a new item", round, number(v), 10*round+3)
			}
		}
		if n := s.stats.DeadItems.Load(); n != 3 {
			t.Errorf("got %d dead items counted, want 3", n)
		}
		synctest.Wait()
		if !link.complete || s.Ready() != nil || len(p.subs) != 1 {
			t.Errorf("complete %v, %v, %d subscriptions; want complete, ready, and one", link.complete,
				s.Ready(), len(p.subs))
		}
	})
}

// TestItemsThatReportAreNotMonitoredAgain: also where a value changes between two
// notifications, and where a Read stamps it again.
func TestItemsThatReportAreNotMonitoredAgain(t *testing.T) {
	follows(t, plant(), func(p *plc, link *port) { p.stampsReads = true },
		func(t *testing.T, p *plc, link *port, s *Source) {
			monitored := func() (n int) {
				p.quirk(func() { n = p.Count(id.CreateMonitoredItemsRequest_Encoding_DefaultBinary) })
				return n
			}
			before := monitored()
			for i := range int32(9 * 60 * 2) {
				// not reported yet
				p.quirk(func() { p.values[named("speed")] = int32At(2*i, time.Now()) })
				time.Sleep(400 * time.Millisecond)
				p.set(named("speed"), int32At(2*i+1, time.Now()))
				time.Sleep(100 * time.Millisecond)
			}
			if n := monitored(); n != before || s.stats.DeadItems.Load() != 0 {
				t.Errorf("got %d CreateMonitoredItems and %d dead items, want none", n-before,
					s.stats.DeadItems.Load())
			}
		})
}

// TestTheCheckOfItemsCostsTheSourceLittle: below 1 % of what the server samples, and of
// the time that it takes for Reads.
func TestTheCheckOfItemsCostsTheSourceLittle(t *testing.T) {
	const tags, minutes = 15_000, 8 // before it is browsed again
	f := plant()
	for i := range tags {
		node := named(fmt.Sprint(i))
		f.add(node, ua.NodeClassVariable, node.Text)
		f.refer(named("press"), id.HasComponent, node)
	}
	follows(t, f, nil, func(t *testing.T, p *plc, link *port, s *Source) {
		measure := func() (reads, requests int) {
			p.quirk(func() { p.reads = 0 })
			p.ResetCount(id.ReadRequest_Encoding_DefaultBinary)
			time.Sleep(minutes / 2 * time.Minute)
			synctest.Wait()
			p.quirk(func() { reads = p.reads })
			requests = p.Count(id.ReadRequest_Encoding_DefaultBinary)
			stateReads := minutes / 2 * 60 / 2 // at the server's state, two attributes
			return reads - 2*stateReads, requests - stateReads
		}
		reads, requests := measure()
		samples := tags * minutes / 2 * 60 * 10
		if reads < tags || reads > samples/100 || reads > minutes/2*60*200+2*checkBatch ||
			requests > minutes/2*60/5+2 {
			t.Errorf("got %d values in %d Reads in %d minutes, want every one, and at most 200 a second "+
				"of %d samples", reads, requests, minutes/2, samples/minutes*2/60)
		}
		p.quirk(func() {
			p.delaysEach(time.Millisecond, id.ReadRequest_Encoding_DefaultBinary)
		})
		if _, requests := measure(); requests > minutes/2*60/100+2 { // each takes 1 s
			t.Errorf("got %d Reads of a slow server in %d minutes", requests, minutes/2)
		}
	})
}
