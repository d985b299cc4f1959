package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

// Item is an attribute to be monitored.
type Item struct {
	Node      rawvalue.NodeID
	Attribute ua.AttributeID
	// Handle names the item to the Handler and to Unmonitor; it is unique within the
	// subscription.
	Handle        uint32
	Sampling      time.Duration // 0 as fast as the server can, negative as the subscription's interval
	Queue         uint32        // values or events, 0 is what the server likes
	DiscardOldest bool
	Filter        Filter
}

// Revised is what the server granted of an Item.
type Revised struct {
	Sampling time.Duration
	Queue    uint32
	Clauses  []ua.StatusCode // of the select clauses, where the server judged them
}

// Monitor makes monitored items and calls f for each with how that went. After an
// error it is not known which items the server has made; end the session then.
func (sub *Subscription) Monitor(ctx context.Context, items []Item,
	f func(i int, status ua.StatusCode, r Revised)) error {
	if err := sub.registerHandles(items); err != nil {
		return err
	}
	size := sub.s.batches.monitor.size()
	for next := 0; next < len(items); {
		n := min(size, len(items)-next)
		began := time.Now()
		err := sub.monitor(ctx, items[next:next+n], func(i int, status ua.StatusCode,
			r Revised) {
			f(next+i, status, r)
		})
		switch {
		case err == nil:
			next += n
			sub.s.batches.monitor.done(n, time.Since(began), sub.s.timeout)
		case n > 1 && (errors.Is(err, ua.StatusBadTooManyOperations) ||
			errors.Is(err, ua.StatusBadRequestTooLarge)):
			sub.s.batches.monitor.refused(n)
			size = sub.s.batches.monitor.size()
		case n > 1 && errors.Is(err, ua.StatusBadTooManyMonitoredItems): // of all of them: some may fit
			size = n / 2
		case errors.Is(err, ua.StatusBadTooManyMonitoredItems):
			for ; next < len(items); next++ {
				sub.setID(items[next].Handle, 0, ua.StatusBadTooManyMonitoredItems)
				f(next, ua.StatusBadTooManyMonitoredItems, Revised{})
			}
		default:
			if errors.Is(err, ua.StatusBadTimeout) { // for the next session
				sub.s.batches.monitor.slow(n)
			}
			return err
		}
	}
	return nil
}

// registerHandles registers the handles: values may arrive before the response does.
func (sub *Subscription) registerHandles(items []Item) error {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	for i, it := range items {
		if sub.items[it.Handle] != nil {
			for _, made := range items[:i] {
				delete(sub.items, made.Handle)
			}
			return fmt.Errorf("opcua client: monitoring %v: handle %d is in use", it.Node, it.Handle)
		}
		sub.items[it.Handle] = &item{fields: it.Filter.fields}
	}
	return nil
}

func (sub *Subscription) monitor(ctx context.Context, items []Item, f func(int, ua.StatusCode, Revised)) error {
	sv := createMonitoredItems()
	a, err := sub.s.do(ctx, sv, 0, func(b []byte) []byte {
		b = appendUint32(b, sub.id)
		b = appendUint32(b, uint32(sub.s.cfg.Timestamps))
		b = appendUint32(b, uint32(len(items)))
		for _, it := range items {
			b = it.append(b)
		}
		return b
	})
	if err != nil {
		return err
	}
	n := a.Length(23) // bytes of the smallest result
	if a.Err() == nil && n != len(items) {
		return wrongCount(sv.name, n, len(items))
	}
	for i, it := range items {
		status, number := ua.StatusCode(a.Uint32()), a.Uint32()
		r := Revised{Sampling: interval(math.Float64frombits(uint64(a.Int64()))), Queue: a.Uint32()}
		result := a.ExtensionObject()
		if err := a.Err(); err != nil {
			return malformedAnswer(sv.name, err)
		}
		r.Clauses = clauses(result, it.Filter.fields)
		sub.setID(it.Handle, number, status)
		f(i, status, r)
	}
	return nil
}

func (it Item) append(b []byte) []byte {
	b = appendReadValueID(b, it.Node, it.Attribute)
	b = appendUint32(b, uint32(ua.MonitoringModeReporting))
	b = appendUint32(b, it.Handle)
	sampling := float64(it.Sampling) / float64(time.Millisecond)
	if it.Sampling < 0 {
		sampling = -1
	}
	b = appendFloat64(b, sampling)
	if it.Filter.raw == nil {
		b = append(b, 0, 0, 0)
	} else {
		b = append(b, it.Filter.raw...)
	}
	return appendBool(appendUint32(b, it.Queue), it.DiscardOldest)
}

func interval(ms float64) time.Duration {
	if math.IsNaN(ms) || ms < 0 {
		return -1
	}
	return time.Duration(min(ms, float64(24*time.Hour/time.Millisecond)) * float64(time.Millisecond))
}

// setID records the server's number of an item, or that there is none.
func (sub *Subscription) setID(handle, number uint32, status ua.StatusCode) {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	if it := sub.items[handle]; it != nil && !isBad(status) {
		it.id = number
	} else {
		delete(sub.items, handle)
	}
}

// Unmonitor ends monitored items. Nothing of them is delivered any more.
func (sub *Subscription) Unmonitor(ctx context.Context, handles []uint32) error {
	var numbers []uint32
	sub.mu.Lock()
	for _, h := range handles {
		if it := sub.items[h]; it != nil {
			numbers = append(numbers, it.id)
			delete(sub.items, h)
		}
	}
	sub.mu.Unlock()
	for len(numbers) > 0 {
		n := min(sub.s.batches.monitor.size(), len(numbers))
		err := sub.unmonitor(ctx, numbers[:n])
		switch {
		case err == nil:
			numbers = numbers[n:]
		case n > 1 && errors.Is(err, ua.StatusBadTooManyOperations):
			sub.s.batches.monitor.refused(n)
		default:
			if errors.Is(err, ua.StatusBadTimeout) {
				sub.s.batches.monitor.slow(n)
			}
			return err
		}
	}
	return nil
}

func (sub *Subscription) unmonitor(ctx context.Context, numbers []uint32) error {
	sv := deleteMonitoredItems()
	a, err := sub.s.do(ctx, sv, 0, func(b []byte) []byte {
		b = appendUint32(appendUint32(b, sub.id), uint32(len(numbers)))
		for _, n := range numbers {
			b = appendUint32(b, n)
		}
		return b
	})
	if err != nil {
		return err
	}
	if n := a.Length(4); a.Err() == nil && n != len(numbers) {
		return wrongCount(sv.name, n, len(numbers))
	} else if err := a.Err(); err != nil {
		return malformedAnswer(sv.name, err)
	}
	return nil
}
