package opcua

import (
	"encoding/binary"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
	"heliograph/firmware/tx/source"
)

func number(v rawvalue.DataValue) int32 {
	if v.Value.Type() != ua.TypeIDInt32 {
		return -1
	}
	return int32(binary.LittleEndian.Uint32(v.Value.Raw[1:]))
}

// overflowing sends an old value of a node with the overflow bit.
func (p *plc) overflowing(node rawvalue.NodeID, n int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.values[node]
	b := u32([]byte{ua.DataValueValue | ua.DataValueStatusCode, byte(ua.TypeIDInt32)}, uint32(n))
	p.values[node] = u32(b, infoDataValue|infoOverflow)
	for _, sub := range p.subs {
		for h, it := range sub.items {
			if it.node == node {
				p.report(sub, []uint32{h})
			}
		}
	}
	p.values[node] = now
}

// statusChange ends all subscriptions to values.
func (p *plc) statusChange() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sub := range p.subs {
		p.say(sub, servertest.Extension(id.StatusChangeNotification_Encoding_DefaultBinary,
			append(u32(nil, uint32(ua.StatusBadTimeout)), 0)))
	}
}

// TestWhatWasMissedIsReadAgain goes through the ways in which a source learns that it
// has missed something: speed is 2 at the server, and no notification says so.
func TestWhatWasMissedIsReadAgain(t *testing.T) {
	for name, miss := range map[string]func(p *plc){
		"a message that cannot be had again": func(p *plc) {
			p.quirk(func() { p.dropNext = 1 })
			p.set(named("speed"), int32At(2, time.Now()))
			p.set(named("force"), int32At(3, time.Now()))
		},
		"several of them": func(p *plc) {
			p.quirk(func() { p.dropNext = 200 })
			for range 200 {
				p.set(named("speed"), int32At(2, time.Now()))
			}
			p.set(named("force"), int32At(3, time.Now()))
		},
		"the last one before silence": func(p *plc) {
			p.quirk(func() { p.dropNext = 1 })
			p.set(named("speed"), int32At(2, time.Now()))
		},
		"a notification that cannot be decoded": func(p *plc) {
			p.quirk(func() { p.badData = true })
			p.set(named("speed"), int32At(2, time.Now()))
		},
		"an overflow": func(p *plc) {
			p.quirk(func() { p.values[named("speed")] = int32At(2, time.Now()) })
			p.overflowing(named("speed"), 1)
		},
		"a status change": func(p *plc) {
			p.quirk(func() {
				p.values[named("speed")] = int32At(2, time.Now())
				p.mute[named("speed")] = true
			})
			p.statusChange()
		},
	} {
		t.Run(name, func(t *testing.T) {
			follows(t, plant(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
				miss(p)
				time.Sleep(10 * time.Second)
				synctest.Wait()
				v, past := s.valueOf(link, named("speed"))
				if number(v) != 2 || v.Status != 0 || s.Ready() != nil {
					t.Errorf("speed is %d, %v (%v); want 2, Good, ready", number(v), v.Status,
						s.Ready())
				}
				uncertain := slices.Contains(past, ua.StatusUncertainLastUsableValue) ||
					slices.Contains(link.states[2:], source.Connecting)
				if name != "an overflow" && !uncertain { // there a newer value is known
					t.Errorf("speed was never Uncertain: %v", past)
				}
			})
		})
	}
}

func TestWhatWasMissedIsUncertainUntilItIsRead(t *testing.T) {
	follows(t, plant(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
		before, _ := s.valueOf(link, named("speed"))
		p.quirk(func() {
			p.dropNext = 1
			p.delays(2*time.Second, id.ReadRequest_Encoding_DefaultBinary)
		})
		p.set(named("speed"), int32At(2, time.Now()))
		p.set(named("force"), int32At(3, time.Now()))
		time.Sleep(time.Second)
		synctest.Wait()
		v, _ := s.valueOf(link, named("speed"))
		if number(v) != 1 || v.Status != ua.StatusUncertainLastUsableValue ||
			v.SourceTime != before.SourceTime {
			t.Errorf("before it is read: got %d, %v at %d; want the old one, Uncertain, at its own time %d",
				number(v), v.Status, v.SourceTime, before.SourceTime)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if v, _ = s.valueOf(link, named("speed")); number(v) != 2 || v.Status != 0 {
			t.Errorf("after it was read: got %d, %v, want 2, Good", number(v), v.Status)
		}
		if s.stats.LostNotifications.Load() != 1 || s.stats.RereadValues.Load() < 2 {
			t.Errorf("got %d lost and %d read again, want 1 and all of the subscription",
				s.stats.LostNotifications.Load(), s.stats.RereadValues.Load())
		}
	})
}

// TestAServerThatLosesAllTheTimeIsNotReadAllTheTime bounds what it is asked.
func TestAServerThatLosesAllTheTimeIsNotReadAllTheTime(t *testing.T) {
	follows(t, plant(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
		p.quirk(func() {
			p.delay[id.ReadRequest_Encoding_DefaultBinary] = func(int) time.Duration { return time.Second }
			p.ResetCount(id.ReadRequest_Encoding_DefaultBinary)
		})
		for i := range 100 {
			p.quirk(func() { p.dropNext = 1 })
			p.set(named("speed"), int32At(int32(i), time.Now()))
			p.set(named("force"), int32At(int32(i), time.Now()))
			time.Sleep(time.Second)
		}
		var n int
		p.quirk(func() { n = p.Count(id.ReadRequest_Encoding_DefaultBinary) })
		if n > 100/5+100/2+10 { // and reads of the server's state
			t.Errorf("got %d Read in 100 s", n)
		}
	})
}

func TestReconnectingReadsEverythingBeforeItIsGood(t *testing.T) {
	follows(t, plant(), nil, func(t *testing.T, p *plc, link *port, s *Source) {
		p.quirk(func() {
			p.values[named("speed")] = int32At(2, time.Now())
			p.mute[named("speed")] = true // its first value does not come by itself
		})
		before := len(link.states)
		s.Reconnect()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if want := []source.State{source.Down, source.Connecting,
			source.Up}; !slices.Equal(link.states[before:], want) || !link.complete {
			t.Errorf("got the states %v, complete %v; want %v, complete", link.states[before:],
				link.complete, want)
		}
		if v, _ := s.valueOf(link, named("speed")); link.reported != source.Up || number(v) != 2 {
			t.Errorf("after all was read: got %v and %d, want up and 2", link.reported, number(v))
		}
	})
}
