package opcua

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// missedValues are the variables of which a notification was missed. It is safe for
// concurrent use.
type missedValues struct {
	signal chan struct{}

	mu         sync.Mutex
	feeds      map[*feed]bool  // all variables of these subscriptions
	handles    map[uint32]bool // these variables
	overflowed map[uint32]bool // these too, of which a newer value is known
}

func newMissedValues() *missedValues {
	m := &missedValues{signal: make(chan struct{}, 1)}
	m.drain()
	return m
}

func (m *missedValues) all(f *feed) {
	m.mu.Lock()
	m.feeds[f] = true
	m.mu.Unlock()
	signal(m.signal)
}

func (m *missedValues) one(handle uint32) {
	m.mu.Lock()
	m.handles[handle] = true
	m.mu.Unlock()
	signal(m.signal)
}

// overflow waits for the next tick: a variable that changes too fast for the server's
// queue has the overflow bit in each notification.
func (m *missedValues) overflow(handle uint32) {
	m.mu.Lock()
	m.overflowed[handle] = true
	m.mu.Unlock()
}

func (m *missedValues) drain() (feeds map[*feed]bool, handles, overflowed map[uint32]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	feeds, handles, overflowed = m.feeds, m.handles, m.overflowed
	m.feeds, m.handles, m.overflowed = map[*feed]bool{}, map[uint32]bool{}, map[uint32]bool{}
	return feeds, handles, overflowed
}

// rereadRest is how many times as long as a pass took nothing is read again after it: a
// server that loses notifications continually is read for a fifth of the time. What was
// missed stays Uncertain meanwhile.
const rereadRest = 4

// reread makes what was missed Uncertain at the mirror, and reads it. When the server
// cannot be read, the session ends and it stays Uncertain.
func (v *values) reread(ctx context.Context) error {
	feeds, handles, overflowed := v.missed.drain()
	for handle, f := range v.follow {
		if f != nil && feeds[f] {
			handles[handle] = true
		}
	}
	if len(handles) > 0 {
		v.markUncertain(handles)
		maps.Copy(v.uncertain, handles)
	}
	if err := v.read(ctx, v.items(overflowed), differing); err != nil {
		return err
	}
	if len(v.uncertain) == 0 || time.Now().Before(v.rereadAt) {
		return nil
	}
	began := time.Now()
	items := v.items(v.uncertain)
	if err := v.read(ctx, items, every); err != nil {
		return err
	}
	clear(v.uncertain)
	v.stats.RereadValues.Add(uint64(len(items)))
	v.rereadAt = time.Now().Add(rereadRest * time.Since(began))
	return nil
}

// items returns the variables among handles that are still followed.
func (v *values) items(handles map[uint32]bool) (items []item) {
	for _, h := range slices.Sorted(maps.Keys(handles)) {
		if _, followed := v.follow[h]; followed {
			items = append(items, item{h, v.model.nodes[h]})
		}
	}
	return items
}

// markUncertain makes variables Uncertain at the mirror. The value stays where the link
// still has the newest one.
func (v *values) markUncertain(handles map[uint32]bool) {
	updates := map[uint32]source.Update{}
	items := make([]item, 0, len(handles))
	for handle := range handles {
		items = append(items, item{handle: handle})
	}
	v.arrived.untouch(items)
	v.port.Range(func(key, content []byte) bool {
		k, err := payload.ParseKey(key)
		if err != nil || k.Kind != payload.Value || k.Generation != v.generation || !handles[k.Number] {
			return true
		}
		if at, newest := v.arrived.timeOf(k.Number, content); newest {
			updates[k.Number] = source.Update{Payload: payload.Worsen(content,
				ua.StatusUncertainLastUsableValue), Time: at}
		}
		return true
	})
	for handle := range handles {
		if u, sent := updates[handle]; sent && u.Payload != nil { // else it is not Good as it is
			v.putUncertain(handle, u)
		} else if !sent {
			v.putUncertain(handle, v.update(handle, rawvalue.DataValue{Raw: []byte{ua.DataValueStatusCode},
				Status: ua.StatusUncertainLastUsableValue}))
		}
	}
}

// putUncertain hands over an update that makes a variable Uncertain, unless a value was notified
// since untouch.
func (v *values) putUncertain(handle uint32, u source.Update) {
	puts := v.putsOf(handle)
	puts.Lock()
	defer puts.Unlock()
	if v.arrived.touchedSince(handle) {
		return
	}
	u.Key = payload.Key{Kind: payload.Value, Generation: v.generation, Number: handle}.Append(nil)
	if v.port.Put(u) == nil { // a refusal is reported when the value is read, which is next
		v.arrived.mark(handle, false, u.Payload, u.Time)
	}
}
