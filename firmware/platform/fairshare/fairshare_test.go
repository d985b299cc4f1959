package fairshare

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

var start = time.Unix(1_000_000, 0)

func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// fill adds n connections of address, named PREFIX0, PREFIX1 …, a second apart.
func fill(t *Table[string], prefix, address string, n, from int) {
	for i := range n {
		t.Add(fmt.Sprint(prefix, i), netip.MustParseAddr(address), at(from+i))
	}
}

func TestAddWhenFull(t *testing.T) {
	const greedy, modest, newcomer = "10.0.0.1", "10.0.0.2", "10.0.0.3"
	for name, c := range map[string]struct {
		before func(*Table[string])
		from   string
		want   string
	}{
		"the longest idle of the greediest": {func(t *Table[string]) {
			fill(t, "m", modest, 1, 0)
			fill(t, "g", greedy, 3, 10)
		}, newcomer, "g0"},
		"one that moved stays": {func(t *Table[string]) {
			fill(t, "m", modest, 1, 0)
			fill(t, "g", greedy, 3, 10)
			t.Touch("g0", at(50))
		}, newcomer, "g1"},
		"who holds most once the new one counts": {func(t *Table[string]) {
			fill(t, "m", modest, 2, 0)
			fill(t, "g", greedy, 2, 10)
		}, greedy, "g0"},
		"the longest idle of equals": {func(t *Table[string]) {
			fill(t, "g", greedy, 2, 10)
			fill(t, "m", modest, 2, 0)
		}, newcomer, "m0"},
		"one IPv6 network is one address": {func(t *Table[string]) {
			t.Add("m0", netip.MustParseAddr("2001:db8:0:1::1"), at(0))
			for i := range 3 {
				t.Add(fmt.Sprint("g", i), netip.MustParseAddr(fmt.Sprintf("2001:db8:0:2::%d", i+1)), at(10+i))
			}
		}, newcomer, "g0"},
		"IPv4 in IPv6 is IPv4": {func(t *Table[string]) {
			fill(t, "m", "10.0.0.2", 1, 0)
			t.Add("n0", netip.MustParseAddr("::ffff:10.0.0.4"), at(1))
			fill(t, "g", greedy, 1, 10)
			t.Add("g1", netip.MustParseAddr("::ffff:10.0.0.1"), at(11))
		}, newcomer, "g0"},
	} {
		t.Run(name, func(t *testing.T) {
			table := New[string](4)
			c.before(table)
			if got := table.Len(); got != 4 || table.Evicted() != 0 {
				t.Fatalf("got %d connections and %d evicted before, want 4 and 0", got, table.Evicted())
			}
			got, full := table.Add("new", netip.MustParseAddr(c.from), at(100))
			if got != c.want || !full {
				t.Errorf("got %q evicted (full %v), want %q", got, full, c.want)
			}
			if table.Len() != 4 || table.Evicted() != 1 {
				t.Errorf("got %d connections and %d evicted, want 4 and 1", table.Len(), table.Evicted())
			}
			if table.Remove(c.want) {
				t.Errorf("%q is still there", c.want)
			}
			if !table.Remove("new") {
				t.Error("the new connection is not there")
			}
		})
	}
}

func TestAnAddressThatFloodsPushesOutItself(t *testing.T) {
	table := New[int](256)
	for i := range 64 {
		table.Add(i, netip.MustParseAddr("10.0.0.2"), start)
	}
	for i := range 10_000 {
		table.Add(1000+i, netip.MustParseAddr("10.0.0.1"), start.Add(time.Duration(i)))
	}
	for i := range 64 {
		if !table.Remove(i) {
			t.Fatalf("connection %d of the other address was pushed out", i)
		}
	}
	if got := table.Len(); got != 192 {
		t.Errorf("got %d connections left, want 192", got)
	}
	if got := table.Evicted(); got != 10_000-192 {
		t.Errorf("got %d evicted, want %d", got, 10_000-192)
	}
}

func TestRoomIsUsedAgain(t *testing.T) {
	table := New[int](2)
	for i := range 1000 {
		if _, full := table.Add(i, netip.MustParseAddr("10.0.0.1"), start); full {
			t.Fatalf("connection %d found no room", i)
		}
		if !table.Remove(i) {
			t.Fatalf("connection %d was not there", i)
		}
	}
	if len(table.held) != 0 {
		t.Errorf("got %d addresses remembered, want none", len(table.held))
	}
	table.Touch(7, start)
	if table.Len() != 0 {
		t.Error("touching entered a connection")
	}
}

func TestAddAgain(t *testing.T) {
	table := New[int](1)
	table.Add(1, netip.MustParseAddr("10.0.0.1"), start)
	if _, full := table.Add(1, netip.MustParseAddr("10.0.0.1"), start); full || table.Len() != 1 {
		t.Error("a connection pushed itself out")
	}
}

func TestNoAddress(t *testing.T) {
	table := New[int](1)
	table.Add(1, netip.Addr{}, start)
	if got, full := table.Add(2, netip.Addr{}, start); got != 1 || !full {
		t.Errorf("got %d (full %v), want 1", got, full)
	}
}

func BenchmarkAddWhenFull(b *testing.B) {
	table := New[int](1024)
	for i := range 1024 {
		table.Add(i, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), start)
	}
	for i := range b.N {
		table.Add(1024+i, netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), start.Add(time.Duration(i)))
	}
}
