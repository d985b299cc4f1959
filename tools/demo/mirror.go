package demo

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	payload "heliograph/firmware/conduit/payload/opcua"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/tools/plant"
)

// tags are how many the plant's server has.
const tags = 100

// watcher checks the values that the mirror notifies.
type watcher struct {
	*arrivals
	last      [tags]time.Time
	uncertain [tags]bool // the last value is one that may be out of date
}

// outdated returns how many tags do not have the value that newest gives them. A
// value that a newer one replaced on the way is conflated, and one that is the
// same as before is not notified (OPC 10000-4 section 7.22.2): nothing is lost.
func (w *watcher) outdated(newest func(tag int) (time.Time, bool)) (n uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for tag, last := range w.last {
		if last.IsZero() {
			last = plant.Began()
		}
		at, changed := newest(tag)
		if changed && last.UnixMilli() < at.UnixMilli() && plant.Reading(tag, last) != plant.Reading(tag, at) {
			n++
		}
	}
	return n
}

// watchMirror subscribes to all tags of the mirror, from before the plant sends.
func watchMirror(ctx context.Context, endpoint string, w *watcher) (s *client.Session, err error) {
	s, err = client.Connect(ctx, client.Config{Endpoint: endpoint, ApplicationName: "heliograph demo"})
	if err != nil {
		return nil, fmt.Errorf("demo: %v", err)
	}
	context.AfterFunc(ctx, s.Close)
	sub, err := s.Subscribe(ctx, client.SubscriptionConfig{Interval: 50 * time.Millisecond, KeepAlive: 20,
		Lifetime: 1000}, w)
	if err != nil {
		return nil, fmt.Errorf("demo: %v", err)
	}
	var items []client.Item
	for i := range tags {
		items = append(items, client.Item{Node: plant.Tag(i), Attribute: ua.AttributeIDValue, Handle: uint32(i),
			Queue: 100, DiscardOldest: true})
	}
	return s, sub.Monitor(ctx, items, func(i int, status ua.StatusCode, _ client.Revised) {
		if status != ua.StatusOK {
			w.Fault(uint32(i), 0, status)
		}
	})
}

// Data implements client.Handler.
func (w *watcher) Data(handle uint32, dv rawvalue.DataValue) {
	at, ok := payload.RecordTime(dv.SourceTime)
	if ok && at.Equal(plant.Began()) {
		return // from before the plant sent
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	// Uncertain while the link is cut, or a loss is not made good yet.
	const severity, isUncertain = 0xC000_0000, 0x4000_0000 // OPC 10000-4 section 7.39
	uncertain := dv.Status&severity == isUncertain
	if !ok || dv.Status != ua.StatusOK && !uncertain || len(dv.Value.Raw) != 9 ||
		math.Float64frombits(binary.LittleEndian.Uint64(dv.Value.Raw[1:])) != plant.Reading(int(handle), at) {
		w.altered++
		return
	}
	again := at.Equal(w.last[handle]) && (uncertain || w.uncertain[handle])
	w.uncertain[handle] = uncertain
	if again {
		return // the same value, whose quality has changed
	}
	if w.arrived++; !at.After(w.last[handle]) {
		w.outOfOrder++
	}
	w.last[handle] = at
	w.recent = fmt.Sprintf("%s = %.2f at %s", plant.Tag(int(handle)).Text, plant.Reading(int(handle), at),
		at.Local().Format("15:04:05.000"))
}

// Events implements client.Handler; there are none in this subscription.
func (*watcher) Events(uint32, [][]byte) {}

// Status implements client.Handler.
func (w *watcher) Status(code ua.StatusCode) { w.Fault(0, 0, code) }

// Lost implements client.Handler: what was lost did not arrive.
func (*watcher) Lost(int) {}

// Fault implements client.Handler.
func (w *watcher) Fault(uint32, int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.altered++
}
