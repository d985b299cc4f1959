package selfreport

import "testing"

func TestWhatCameBack(t *testing.T) {
	n := func(v uint64) *uint64 { return &v }
	hundred := []int{100, 100}
	neighbour := &Received{Interface: n(900)}
	for name, c := range map[string]struct {
		udp         bool
		before, now *Received
		sent        []int
		want        bool
	}{
		"nothing known":             {false, nil, nil, hundred, false},
		"nothing counted":           {false, nil, &Received{Reading: 9}, hundred, false},
		"none":                      {false, nil, &Received{Interface: n(0)}, hundred, false},
		"one, long before":          {false, &Received{Interface: n(1)}, &Received{Interface: n(1)}, hundred, true},
		"one byte, without a probe": {false, nil, &Received{Line: n(1)}, nil, true},
		"UDP: a neighbour's few":    {true, neighbour, &Received{Interface: n(949), Socket: n(0)}, hundred, false},
		"UDP: half of one means":    {true, neighbour, &Received{Interface: n(950), Socket: n(0)}, hundred, true},
		"UDP: at the socket":        {true, &Received{}, &Received{Interface: n(0), Socket: n(1)}, nil, true},
		"UDP: before not known":     {true, nil, &Received{Interface: n(60), Socket: n(0)}, hundred, false},
		"UDP: one at the socket":    {true, nil, &Received{Interface: n(0), Socket: n(1)}, hundred, true},
		"UDP: a counter that fell":  {true, neighbour, &Received{Interface: n(10)}, hundred, false},
		"UDP: nothing was sent":     {true, nil, &Received{Interface: n(900)}, []int{0}, false},
	} {
		if got := c.now.CameBack(c.udp, c.before, c.sent); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestAReadingIsNewerOnceAnotherLiesBetween(t *testing.T) {
	at := func(n uint64) *Received { return &Received{Reading: n} }
	for name, c := range map[string]struct {
		earlier, now *Received
		want         bool
	}{
		"none": {nil, nil, false}, "first": {nil, at(9), false}, "gone": {at(1), nil, false},
		"same": {at(7), at(7), false}, "next": {at(7), at(8), false}, "the one after": {at(7), at(9), true},
		"another run": {at(7), at(1), false},
	} {
		if got := c.now.ReadAfter(c.earlier); got != c.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}
