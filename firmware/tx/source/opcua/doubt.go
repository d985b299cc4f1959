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

// doubts are the variables of which something was missed. It is safe for
// concurrent use.
type doubts struct {
	signal chan struct{}

	mu         sync.Mutex
	feeds      map[*feed]bool  // all variables of these subscriptions
	handles    map[uint32]bool // these variables
	overflowed map[uint32]bool // these too, of which a newer value is known
}

func newDoubts() *doubts {
	d := &doubts{signal: make(chan struct{}, 1)}
	d.take()
	return d
}

func (d *doubts) all(f *feed) {
	d.mu.Lock()
	d.feeds[f] = true
	d.mu.Unlock()
	signal(d.signal)
}

func (d *doubts) one(handle uint32) {
	d.mu.Lock()
	d.handles[handle] = true
	d.mu.Unlock()
	signal(d.signal)
}

// overflow waits for the next tick: a variable that changes too fast for the
// server's queue says so with each notification.
func (d *doubts) overflow(handle uint32) {
	d.mu.Lock()
	d.overflowed[handle] = true
	d.mu.Unlock()
}

func (d *doubts) take() (feeds map[*feed]bool, handles, overflowed map[uint32]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	feeds, handles, overflowed = d.feeds, d.handles, d.overflowed
	d.feeds, d.handles, d.overflowed = map[*feed]bool{}, map[uint32]bool{}, map[uint32]bool{}
	return feeds, handles, overflowed
}

// rereadRest is how much longer than a pass of reading nothing is read again after
// it: a server that loses notifications all the time is read for a fifth of the
// time. What is in doubt stays Uncertain meanwhile.
const rereadRest = 4

// reread makes what is in doubt Uncertain at the mirror, and reads it. When the
// server cannot be read, the session ends and it stays Uncertain.
func (v *values) reread(ctx context.Context) error {
	feeds, doubted, overflowed := v.doubts.take()
	for handle, f := range v.follow {
		if f != nil && feeds[f] {
			doubted[handle] = true
		}
	}
	if len(doubted) > 0 {
		v.worsen(doubted)
		maps.Copy(v.uncertain, doubted)
	}
	if err := v.read(ctx, v.items(overflowed), differing); err != nil {
		return err
	}
	if len(v.uncertain) == 0 || time.Now().Before(v.rested) {
		return nil
	}
	began := time.Now()
	items := v.items(v.uncertain)
	if err := v.read(ctx, items, every); err != nil {
		return err
	}
	clear(v.uncertain)
	v.stats.RereadValues.Add(uint64(len(items)))
	v.rested = time.Now().Add(rereadRest * time.Since(began))
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

// worsen makes variables Uncertain at the mirror. The value stays where the link's
// table has the newest one.
func (v *values) worsen(doubted map[uint32]bool) {
	updates := map[uint32]source.Update{}
	v.port.Range(func(key, content []byte) bool {
		k, err := payload.ParseKey(key)
		if err != nil || k.Kind != payload.Value || k.Generation != v.generation || !doubted[k.Number] {
			return true
		}
		if at, newest := v.arrived.timeOf(k.Number, content); newest {
			updates[k.Number] = source.Update{Payload: payload.Worsen(content, ua.StatusUncertainLastUsableValue), Time: at}
		}
		return true
	})
	for handle := range doubted {
		u, sent := updates[handle]
		if sent && u.Payload == nil { // not Good as it is
			continue
		}
		if !sent {
			u = v.update(handle, rawvalue.DataValue{Raw: []byte{ua.DataValueStatusCode}, Status: ua.StatusUncertainLastUsableValue})
		}
		u.Key = payload.Key{Kind: payload.Value, Generation: v.generation, Number: handle}.Append(nil)
		if v.port.Put(u) == nil { // a refusal is told when the value is read, which is next
			v.arrived.mark(handle, false, u.Payload, u.Time)
		}
	}
}
