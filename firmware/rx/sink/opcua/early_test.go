package opcua

import (
	"testing"
	"time"

	"heliograph/firmware/rx/sink"
)

// The carousel may bring a value before its node, and changes follow at once.
func TestAllValuesThatArriveBeforeTheirNodeAreHistory(t *testing.T) {
	l := historic(t, newMemory())
	l.deliver(sample(2, 3, 7, good, false))
	l.deliver(sample(2, 4, 8, good, false))
	l.deliver(sample(2, 4, 8, good, false)) // once more
	l.now = start.Add(5 * time.Second)
	l.deliver(sample(2, -1, 9, good, false))
	l.now = start.Add(time.Hour)
	l.deliver(sample(2, 6, 10, good, false))
	for range 2 {
		l.variables(7, "a", "b", "c")
	}
	l.wantHistory(named("c"), "3:7 4:8 5:9 6:10")
	if m := &l.mirror.early; m.values != 0 || m.bytes != 0 || l.refused != 0 {
		t.Errorf("%d values of %d bytes wait, %d were refused; want none", m.values, m.bytes, l.refused)
	}
}

func TestEarlyValuesThatNoHistoryGetsAreCounted(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*link)
		want uint64
	}{
		"more than may wait for their node": {func(l *link) {
			for i := range maxEarlyValues + 4 {
				l.deliver(sample(2, i, float64(i), good, false))
			}
		}, 3},
		"whose key is deleted before its node comes": {func(l *link) {
			for i := range 3 {
				l.deliver(sample(2, i, float64(i), good, false))
			}
			l.deliver(sink.Update{Key: valueKey(7, 2), Delete: true})
		}, 3},
		"whose generation ends before their node comes": {func(l *link) {
			for i := range 3 {
				l.deliver(sample(2, i, float64(i), good, false))
			}
			l.announceAs(8, "http://opcfoundation.org/UA/", "urn:other")
			l.swap()
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			l := historic(t, newMemory())
			if c.do(l); l.refused != c.want {
				t.Errorf("%d were refused, want %d", l.refused, c.want)
			}
		})
	}
}
