package users

import (
	"net/netip"
	"testing"
	"time"
)

func TestBudgetRefills(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b, o := budgets{}, origin{"ann", netip.MustParseAddr("10.1.0.1")}
	b.get(o, start).left -= maxAttempts
	for name, tt := range map[string]struct {
		after time.Duration
		left  float64
		wait  time.Duration
	}{
		"at once":         {0, 0, refillEvery},
		"half an attempt": {refillEvery / 2, 0.5, refillEvery / 2},
		"one attempt":     {refillEvery, 1, 0},
		"a long time":     {time.Hour, maxAttempts, -(maxAttempts - 1) * refillEvery},
	} {
		t.Run(name, func(t *testing.T) {
			b := budgets{o: {left: 0, last: start}}
			got := b.get(o, start.Add(tt.after))
			if got.left != tt.left || got.untilNext() != tt.wait {
				t.Errorf("got %v attempts, the next in %v; want %v, %v", got.left, got.untilNext(), tt.left, tt.wait)
			}
		})
	}
}

// The budget that was used longest ago makes room; those in use keep what they have.
func TestEvictedBudgetIsTheOldest(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	b := budgets{}
	for i := range maxBudgets {
		b.get(origin{"ann", address(i)}, start.Add(time.Duration(i))).left = 0
	}
	b.get(origin{"joe", address(0)}, start.Add(time.Second))
	if _, kept := b[origin{"ann", address(0)}]; kept || len(b) != maxBudgets {
		t.Errorf("got %d budgets, the oldest among them: %t; want %d without it", len(b), kept, maxBudgets)
	}
	if one := b[origin{"ann", address(1)}]; one == nil || one.left != 0 {
		t.Errorf("the second oldest: got %+v, want it as it was", one)
	}
}
