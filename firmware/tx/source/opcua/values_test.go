package opcua

import (
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source/opcua/absence"
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

// TestAReadReplacesNoNewerNotification: one that arrives between the check for it and the Put.
func TestAReadReplacesNoNewerNotification(t *testing.T) {
	value := func(n int32) rawvalue.DataValue {
		dv, err := rawvalue.SkimDataValue(int32At(n, time.Unix(int64(1_700_000_000+n), 0)), rawvalue.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return dv
	}
	const handle = 3
	for name, put := range map[string]func(v *values){
		"changed":   func(v *values) { v.putRead(handle, value(2), changed) },
		"differing": func(v *values) { v.putRead(handle, value(2), differing) },
		"Uncertain": func(v *values) { v.markUncertain(map[uint32]bool{handle: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			link := &port{}
			v := newValues(&Source{port: link, log: slog.New(slog.DiscardHandler),
				history: &history{book: absence.New(time.Second)}},
				&model{SpaceHeader: payload.SpaceHeader{Generation: 7}}, nil)
			f := &feed{values: v}
			f.Data(handle, value(1))
			v.arrived.untouch([]item{{handle: handle}})
			done := make(chan struct{})
			link.before = func() {
				go func() { defer close(done); f.Data(handle, value(3)) }()
				for range 10_000 { // it comes to its end now, unless it waits for the Put
					runtime.Gosched()
				}
			}
			put(v)
			<-done
			key := string(payload.Key{Kind: payload.Value, Generation: 7, Number: handle}.Append(nil))
			if got := link.skim(key); number(got) != 3 || got.Status != 0 {
				t.Errorf("got %d, %v; want the notification's 3, Good", number(got), got.Status)
			}
		})
	}
}

// A value without a source timestamp crosses with the time at which it came, which tells a history that
// gets it late. The same value again is not another one for that.
func TestAValueWithoutATimestampHasThatOfItsArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const handle = 3
		bare, err := rawvalue.SkimDataValue([]byte{1, byte(ua.TypeIDInt32), 7, 0, 0, 0}, rawvalue.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		link := &port{}
		v := newValues(&Source{port: link, log: slog.New(slog.DiscardHandler),
			history: &history{book: absence.New(time.Second)}},
			&model{SpaceHeader: payload.SpaceHeader{Generation: 7}}, nil)
		key := payload.Key{Kind: payload.Value, Generation: 7, Number: handle}.Append(nil)
		came := time.Now()
		(&feed{values: v}).Data(handle, bare)
		time.Sleep(time.Minute)
		v.putRead(handle, bare, differing)
		if got := link.times[string(key)]; !got.Equal(came) || link.puts != 1 {
			t.Errorf("got the time %v in %d records, want %v in one", got, link.puts, came)
		}
	})
}
