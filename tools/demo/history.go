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
	"heliograph/firmware/opcua/uabinary"
	"heliograph/tools/plant"
)

// Our own choices.
const (
	historyEvery = 2 * time.Second // from one look at the history to the next
	historyPart  = 1000            // values in one answer
	historyTag   = 0               // that is looked at
)

// History is what HistoryRead at the mirror returns of tags, since the plant began to send.
type History struct {
	Values uint64 `json:"values"` // that are those of the plant
	Holes  uint64 `json:"holes"`  // entries Bad_DataLost
	Wrong  uint64 `json:"wrong"`  // other values, out of order ones included
}

// readHistory reads the history of tags.
func readHistory(ctx context.Context, s *client.Session, tags []int, from, to time.Time) (h History, err error) {
	for _, tag := range tags {
		item, last := client.HistoryItem{Node: plant.Tag(tag)}, int64(0)
		for more := true; more; more = item.Point != nil {
			r := client.HistoryRange{From: uabinary.Ticks(from), To: uabinary.Ticks(to), Most: historyPart}
			var status ua.StatusCode
			err := s.ReadHistory(ctx, r, []client.HistoryItem{item}, func(_ int, p client.HistoryPart) {
				status, item.Point = p.Status, p.Point
				for _, v := range p.Values {
					last = h.add(tag, v, last)
				}
			})
			if err == nil && status&0x8000_0000 != 0 {
				err = status
			}
			if err != nil {
				return h, fmt.Errorf("demo: reading the history of %s: %w", plant.Tag(tag).Text, err)
			}
		}
	}
	return h, nil
}

// add judges an entry, and returns its source time when it is a value.
func (h *History) add(tag int, v rawvalue.DataValue, last int64) int64 {
	if v.Status == ua.StatusBadDataLost {
		h.Holes++
		return last
	}
	at, ok := payload.RecordTime(v.SourceTime)
	if !ok || v.Status != ua.StatusOK || len(v.Value.Raw) != 9 || v.SourceTime <= last ||
		math.Float64frombits(binary.LittleEndian.Uint64(v.Value.Raw[1:])) != plant.Reading(tag, at) {
		h.Wrong++
		return last
	}
	h.Values++
	return v.SourceTime
}

// followHistory looks at the history of one tag until ctx ends.
func (d *Demo) followHistory(ctx context.Context) {
	tick := time.NewTicker(historyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		h, err := readHistory(ctx, d.session, []int{historyTag}, d.began, time.Now())
		d.mu.Lock()
		d.history, d.historyErr = h, err
		d.mu.Unlock()
	}
}

// wholeHistory reads the history of all tags.
func (d *Demo) wholeHistory() (History, error) {
	ctx, cancel := context.WithTimeout(context.Background(), healTime)
	defer cancel()
	all := make([]int, tags)
	for i := range all {
		all[i] = i
	}
	return readHistory(ctx, d.session, all, d.began, time.Now())
}

// whole reports whether the history has all that a channel has delivered, and no hole.
func (h History) whole(c ChannelSummary) bool { return h.Holes == 0 && h.Values >= c.Arrived }

// useHistory has the history say which values were delivered late.
func (s *Summary) useHistory(h History) {
	c := s.Channels[opcuaChannel]
	live := c.Arrived - c.Healed
	c.Arrived = max(live, min(h.Values, c.Sent))
	c.Healed = c.Arrived - live
	rest := c.Sent - min(c.Sent, c.Arrived)
	c.Lost = min(c.Lost, rest)
	c.Unknown = min(c.Unknown, rest-c.Lost)
	c.Conflated = rest - c.Lost - c.Unknown
	s.Channels[opcuaChannel], s.History = c, &h
	s.judge()
}

// historyLine is what one tag's history holds, in words.
func (d *Demo) historyLine() string {
	d.mu.Lock()
	h, err := d.history, d.historyErr
	d.mu.Unlock()
	if err != nil {
		return clip(err.Error(), 100)
	}
	return h.words()
}

func (h History) words() string {
	text := fmt.Sprintf("HistoryRead of %s at the mirror: %s values", plant.Tag(historyTag).Text, grouped(h.Values))
	switch {
	case h.Wrong > 0:
		text += fmt.Sprintf(", %s wrong ones", grouped(h.Wrong))
	case h.Holes > 0:
		text += ", with a hole (Bad_DataLost)"
	default:
		text += ", without a hole"
	}
	return text
}
