package client

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

// keep is a Handler that keeps what it is given, and checks it.
type keep struct {
	t       *testing.T
	values  [][]byte
	size    int // bytes of all of it
	trouble int
}

func (k *keep) Data(_ uint32, dv rawvalue.DataValue) {
	again, err := rawvalue.SkimDataValue(dv.Raw, rawvalue.Limits{})
	if err != nil || !again.Equal(dv) {
		k.t.Errorf("got %x, which reads as %x, %v", dv.Raw, again.Raw, err)
	}
	k.values = append(k.values, dv.Raw)
	k.size += len(dv.Raw)
}

func (k *keep) Events(_ uint32, fields [][]byte) {
	if len(fields) != 2 {
		k.t.Errorf("got %d fields, want 2", len(fields))
	}
	for _, f := range fields {
		if v, err := rawvalue.SkimVariant(f, rawvalue.Limits{}); err != nil || len(v.Raw) != len(f) {
			k.t.Errorf("got %x, which is no Variant: %v", f, err)
		}
		k.size += len(f)
	}
	k.values = append(k.values, slices.Concat(fields...))
}

func (k *keep) Status(ua.StatusCode)                { k.trouble++ }
func (k *keep) Lost(n int)                          { k.trouble++ }
func (k *keep) Fault(_ uint32, behind int, _ error) { k.trouble++ }

func reader(h Handler) *Subscription {
	s := &Session{}
	sub := &Subscription{s: s, id: 5, h: h, gone: make(chan struct{}),
		items: map[uint32]*item{1: {}, 2: {}, 3: {fields: 2}}}
	s.publisher.subscriptions = map[uint32]*Subscription{5: sub}
	return sub
}

// What is delivered is well formed and no larger than the message, and cutting the
// message short only takes from the end.
func FuzzNotifications(f *testing.F) {
	array := func(n ...[]byte) []byte {
		return slices.Concat(append([][]byte{appendUint32(nil, uint32(len(n)))}, n...)...)
	}
	f.Add(array(dataChange(valueOf{1, servertest.Int32(10)}, valueOf{2, servertest.Int32(20)})), 9)
	f.Add(array(eventList(eventOf{3, [][]byte{{1, 1}, {0}}}, eventOf{3, [][]byte{{0}, {0}}})), 30)
	f.Add(array(dataChange(valueOf{1, []byte{1, 63}}), eventList(eventOf{3, [][]byte{{0}}}),
		extension(820, []byte{0, 0, 10, 0x80, 0})), 3)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		whole := &keep{t: t}
		reader(whole).notifications(data)
		if whole.size > len(data) {
			t.Errorf("got %d bytes of %d", whole.size, len(data))
		}
		if cut < 0 || cut > len(data) {
			return
		}
		part := &keep{t: t}
		reader(part).notifications(data[:cut])
		if n := len(part.values); n > len(whole.values) ||
			!slices.EqualFunc(part.values, whole.values[:n], bytes.Equal) {
			t.Errorf("got %x of the first %d bytes, want a start of %x", part.values, cut, whole.values)
		}
	})
}

// A result that is read has been asked for, and its references were in the bytes.
func FuzzBrowseResults(f *testing.F) {
	f.Add((&tree{most: 10, points: 1, open: map[uint32][2]uint32{}}).result(appendUint32(nil, 1), 3, 1, 2), 1)
	f.Add((&tree{}).result(appendUint32(nil, 1), 999, 1, 2), 2)
	f.Fuzz(func(t *testing.T, data []byte, asked int) {
		list := make([]*browsed, max(0, min(asked, 10)))
		for i := range list {
			list[i] = &browsed{at: i}
		}
		c := rawvalue.NewCursor(data, rawvalue.Limits{})
		const room = 100 * 104
		if err := results(&c, "Browse", list, room, asked == 1); err != nil && codeOf(err) == 0 {
			t.Errorf("got %v, want a status code in it", err)
		}
		n, bytes := 0, 0
		for _, b := range list {
			n, bytes = n+len(b.refs), bytes+b.size
		}
		if bytes > room || 18*n > len(data) {
			t.Errorf("got %d references from %d bytes", n, len(data))
		}
	})
}

func thousandValues() []byte {
	values := make([]valueOf, 1000)
	for i := range values {
		dv := append([]byte{1 | ua.DataValueSourceTimestamp, byte(ua.TypeIDDouble)}, make([]byte, 16)...)
		values[i] = valueOf{uint32(1 + i%2), dv}
	}
	return append(appendUint32(nil, 1), dataChange(values...)...)
}

type drop struct{ n int }

func (d *drop) Data(uint32, rawvalue.DataValue) { d.n++ }
func (d *drop) Events(uint32, [][]byte)         {}
func (d *drop) Status(ua.StatusCode)            {}
func (d *drop) Lost(int)                        {}
func (d *drop) Fault(uint32, int, error)        {}

func TestNotificationsAreReadWithoutAllocating(t *testing.T) {
	d := &drop{}
	sub, data := reader(d), thousandValues()
	if n := testing.AllocsPerRun(10, func() { sub.notifications(data) }); n > 0 {
		t.Errorf("got %v allocations per message, want none", n)
	}
	if d.n != 11*1000 {
		t.Errorf("got %d values, want 11000", d.n)
	}
}

func BenchmarkNotifications(b *testing.B) {
	sub, data := reader(&drop{}), thousandValues()
	b.ReportAllocs()
	for b.Loop() {
		sub.notifications(data)
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "values/s")
}
