package opcua

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/tx/source"
)

// Late records are put in parts, of which the next follows only when the one before has
// left: live values wait behind lateRecords or lateBytes of them at most. Then nothing late
// is put for lateRest times as long as that took, so that on a busy line they take a third
// of a channel's turns; and never more than latePerSecond.
const (
	lateRecords   = 100
	lateBytes     = 16 << 10
	latePerSecond = 2000
	lateRest      = 2
	maxLateRest   = 5 * time.Second
)

// lateValue is a value on its way to the link.
type lateValue struct {
	item   *historyItem
	update source.Update
	dv     rawvalue.DataValue // without its value
	count  int                // values of its time that were read
}

// handOver puts what was collected, and waits until it has left.
func (r *historyReader) handOver(ctx context.Context) error {
	for list := r.lates; len(list) > 0; {
		n, size := 0, 0
		for n < len(list) && n < lateRecords && (n == 0 || size < lateBytes) {
			size += len(list[n].update.Payload) + len(list[n].update.Key)
			n++
		}
		began := time.Now()
		if err := r.putLate(ctx, list[:n]); err != nil {
			return err
		}
		for _, l := range list[:n] {
			if l.item == nil { // an event
				continue
			}
			l.item.passed(l.dv.SourceTime, l.count)
		}
		r.stats.HistoryRecords.Add(uint64(n))
		took := time.Since(began)
		rest := max(time.Duration(n)*time.Second/latePerSecond-took, min(lateRest*took, maxLateRest))
		if !sleep(ctx, rest) {
			return ctx.Err()
		}
		list = list[n:]
	}
	return nil
}

// putLate puts a part and waits until all of it has left.
func (r *historyReader) putLate(ctx context.Context, list []lateValue) error {
	left := make(chan error, 1)
	var waiting atomic.Int64
	waiting.Store(int64(len(list)) + 1)
	done := func(err error) {
		if n := waiting.Add(-1); n == 0 || err != nil {
			select {
			case left <- err:
			default:
			}
		}
	}
	for _, l := range list {
		l.update.Left = done
		if err := r.putOne(ctx, l); err != nil {
			return err
		}
	}
	done(nil)
	select {
	case err := <-left:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// putOne waits for room and puts one record; in place of one that is too large, a status.
func (r *historyReader) putOne(ctx context.Context, l lateValue) error {
	for {
		select {
		case <-r.port.Room():
		case <-ctx.Done():
			return ctx.Err()
		}
		err := r.port.Put(l.update)
		switch {
		case errors.Is(err, source.ErrFull):
			continue
		case !refused(err):
			return err
		}
		if l.item == nil {
			r.stats.RefusedEvents.Add(1)
			l.update.Left(nil)
			return nil
		}
		r.stats.RefusedValues.Add(1)
		u := r.values.update(l.item.gap.Handle, instead(l.dv, whyRefused(err)))
		u.Late, u.Left = true, l.update.Left
		if err := r.port.Put(u); err != nil {
			u.Left(nil)
		}
		return nil
	}
}
