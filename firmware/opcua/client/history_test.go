package client

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

const historyKind = id.HistoryReadRequest_Encoding_DefaultBinary

// recorded is a DataValue with a number and the source timestamp of that number.
func recorded(n int32) []byte {
	b := appendUint32([]byte{ua.DataValueValue | ua.DataValueSourceTimestamp, byte(ua.TypeIDInt32)}, uint32(n))
	return appendInt64(b, int64(n))
}

// history is a server's whose nodes 1 and 2 have values at the times 1 to n.
func history(n int) *servertest.History {
	h := &servertest.History{}
	for i := range n {
		for node := range 2 {
			h.Record(rawvalue.NodeID{Namespace: 1, Number: uint32(node + 1)}, recorded(int32(i+1)))
		}
	}
	return h
}

func historyItems() []HistoryItem {
	return []HistoryItem{{Node: rawvalue.NodeID{Namespace: 1, Number: 1}},
		{Node: rawvalue.NodeID{Namespace: 1, Number: 2}}}
}

func TestHistoryIsReadInPartsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h := newFake(t), history(10)
		f.ServeHistory(h)
		s := f.connect()
		items := historyItems()
		got := make([][]int64, 2)
		for rounds := 0; items[0].Point != nil || rounds == 0; rounds++ {
			err := s.ReadHistory(t.Context(), HistoryRange{From: 3, To: 9, Most: 4}, items,
				func(i int, p HistoryPart) {
					if p.Status != 0 || rounds > 1 {
						t.Fatalf("round %d: got %v", rounds, p.Status)
					}
					for _, v := range p.Values {
						got[i] = append(got[i], v.SourceTime)
					}
					items[i].Point = p.Point
				})
			if err != nil {
				t.Fatal(err)
			}
		}
		if want := []int64{3, 4, 5, 6, 7, 8}; !slices.Equal(got[0], want) || !slices.Equal(got[1], want) {
			t.Errorf("got %v, want %v of both", got, want)
		}
	})
}

func TestReleasedPointsAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, h := newFake(t), history(10)
		f.ServeHistory(h)
		s := f.connect()
		items := historyItems()
		r := HistoryRange{From: 1, To: 9, Most: 4}
		if err := s.ReadHistory(t.Context(), r, items,
			func(i int, p HistoryPart) { items[i].Point = p.Point }); err != nil {
			t.Fatal(err)
		}
		s.ReleaseHistory(t.Context(), items)
		if open, released := h.Open(); open != 0 || released != 2 {
			t.Errorf("got %d points open and %d released, want 0 and 2", open, released)
		}
		err := s.ReadHistory(t.Context(), r, items[:1], func(_ int, p HistoryPart) {
			if p.Status != ua.StatusBadContinuationPointInvalid {
				t.Errorf("got %v of a released point", p.Status)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestSlowHistorySaysNothingOfOtherServices: a HistoryRead that takes too long neither ends
// the session nor gives other services more time.
func TestSlowHistorySaysNothingOfOtherServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.on(historyKind, func(call) ([]byte, ua.StatusCode) { return nil, 0 })
		s := f.connect()
		before := s.pace.timeout(read().name, s.timeout)
		began := time.Now()
		err := s.ReadHistory(t.Context(), HistoryRange{To: 9, Most: 1}, historyItems(), nil)
		if !errors.Is(err, ua.StatusBadTimeout) || time.Since(began) != historyTimeout {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		if after := s.pace.timeout(read().name, s.timeout); after != before || s.Err() != nil {
			t.Errorf("got %v for a Read and %v, want %v and a session", after, s.Err(), before)
		}
	})
}

func TestHistoryThatIsNotWhatWasAskedFor(t *testing.T) {
	result := func(parts ...[]byte) []byte {
		b := appendUint32(nil, uint32(len(parts)))
		for _, p := range parts {
			b = append(appendUint32(appendUint32(b, 0), nullLength), p...)
		}
		return appendUint32(b, nullLength)
	}
	values := func(n int) []byte {
		b := appendUint32(nil, uint32(n))
		for range n {
			b = append(b, recorded(1)...)
		}
		return servertest.Extension(id.HistoryData_Encoding_DefaultBinary, b)
	}
	for name, payload := range map[string][]byte{
		"too few nodes":   result(values(1)),
		"too many values": result(values(9), values(1)),
		"another type": result(servertest.Extension(id.HistoryEvent_Encoding_DefaultBinary,
			appendUint32(nil, 0)), values(0)),
		"cut short": result(values(1), values(1))[:60],
		"a count that is too large": result(servertest.Extension(id.HistoryData_Encoding_DefaultBinary,
			appendUint32(nil, 1<<30)), values(1)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				f.on(historyKind, func(call) ([]byte, ua.StatusCode) { return payload, 0 })
				s := f.connect()
				err := s.ReadHistory(t.Context(), HistoryRange{To: 9, Most: 1}, historyItems(),
					func(int, HistoryPart) {})
				var e *Error
				if !errors.As(err, &e) {
					t.Errorf("got %v, want an error of the service", err)
				}
			})
		})
	}
}

func TestEventHistoryHasTheSelectedFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		text := func(s string) []byte { return servertest.AppendText([]byte{byte(ua.TypeIDString)}, s) }
		var filter []byte
		f.on(historyKind, func(c call) ([]byte, ua.StatusCode) {
			d := c.ExtensionObject()
			filter = slices.Clone(d.Body[4+8+8:])
			b := appendUint32(nil, 2) // events
			for _, name := range []string{"hot", "cold"} {
				b = append(append(appendUint32(b, 2), text(name)...), 0)
			}
			r := appendUint32(appendUint32(appendUint32(nil, 1), 0), nullLength)
			r = append(r, servertest.Extension(id.HistoryEvent_Encoding_DefaultBinary, b)...)
			return appendUint32(r, nullLength), 0
		})
		s := f.connect()
		var got []string
		clauses := Events([]SelectClause{{Path: []rawvalue.QualifiedName{{Name: []byte("Message")}}},
			{Path: []rawvalue.QualifiedName{{Name: []byte("EventId")}}}})
		err := s.ReadEventHistory(t.Context(), HistoryRange{From: 1, To: 9, Most: 5}, clauses,
			historyItems()[:1], func(_ int, p HistoryPart) {
				for _, e := range p.Events {
					got = append(got, fmt.Sprintf("%q %d", e[0][5:], len(e)))
				}
			})
		if want := []string{`"hot" 2`, `"cold" 2`}; err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
		if _, body, _ := bodyOf(clauses); !slices.Equal(filter, body) {
			t.Errorf("got the filter %x, want the one of a subscription", filter)
		}
	})
}
