package holes

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// text writes a set's holes for comparison.
func text(s *Set) string {
	var list []string
	for _, h := range s.Holes() {
		word := "lost"
		if h.Unknown {
			word = "unknown"
		}
		if h.Final {
			word = "final " + word
		}
		list = append(list, fmt.Sprintf("%s %d:%d-%d:%d ×%d %d-%d", word, h.First.Epoch, h.First.Number, h.Last.Epoch,
			h.Last.Number, h.Records, h.From.Unix(), h.To.Unix()))
	}
	return strings.Join(list, ", ")
}

func expect(t *testing.T, s *Set, want string) {
	t.Helper()
	if got := text(s); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

const second = int64(time.Second)

// page applies a page whose entries have the numbers given.
func page(s *Set, epoch, first, last uint64, has ...uint64) (kinds []Kind) {
	pieces, ok := s.Cut(nil, epoch, first, last)
	if !ok {
		return nil
	}
	for _, n := range has {
		for i := range pieces {
			if p := &pieces[i]; p.First <= n && n <= p.Last {
				kinds = append(kinds, s.Heal(p, n))
			}
		}
	}
	s.Decide(pieces, last)
	return kinds
}

func TestAHoleIsFilledAndFinal(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(s *Set)
		want string
	}{
		"nothing":         {func(*Set) {}, "lost 3:5-3:9 ×5 10-12"},
		"its beginning":   {func(s *Set) { page(s, 3, 1, 6, 5, 6) }, "lost 3:7-3:9 ×3 10-12"},
		"its middle":      {func(s *Set) { page(s, 3, 6, 7, 6, 7) }, "lost 3:5-3:9 ×3 10-12"},
		"its end":         {func(s *Set) { page(s, 3, 8, 20, 8, 9, 10) }, "lost 3:5-3:7 ×3 10-12"},
		"all":             {func(s *Set) { page(s, 3, 5, 9, 5, 6, 7, 8, 9) }, ""},
		"some never left": {func(s *Set) { page(s, 3, 1, 9, 5, 9) }, "final lost 3:6-3:8 ×3 10-12"},
		"another epoch":   {func(s *Set) { page(s, 2, 1, 9, 5, 9) }, "lost 3:5-3:9 ×5 10-12"},
		"by the carousel": {func(s *Set) { s.Fill(Position{3, 7}) }, "lost 3:5-3:9 ×4 10-12"},
		"out of reach": {func(s *Set) { s.Lose(Position{}, Position{3, 6}) },
			"final lost 3:5-3:6 ×2 10-12, lost 3:7-3:9 ×3 10-12"},
		"wholly": {func(s *Set) { s.LoseAll() }, "final lost 3:5-3:9 ×5 10-12"},
		"the next gap joins": {func(s *Set) { s.Add(3, 10, 11, false, 13*second, 14*second) },
			"lost 3:5-3:11 ×7 10-14"},
		"the unknown do not": {func(s *Set) { s.Add(3, 10, 11, true, 13*second, 14*second) },
			"lost 3:5-3:9 ×5 10-12, unknown 3:10-3:11 ×2 13-14"},
		"out of reach, and restored": {func(s *Set) { s.LoseAll(); s.Fill(Position{3, 7}) },
			"final lost 3:5-3:9 ×4 10-12"},
	} {
		t.Run(name, func(t *testing.T) {
			var s Set
			s.Add(3, 5, 9, false, 10*second, 12*second)
			c.do(&s)
			expect(t, &s, c.want)
		})
	}
}

// The end of epoch 3 and all of epoch 4 were missed.
func TestEarlierEpochsAreFilledByPages(t *testing.T) {
	begin := func() *Set {
		var s Set
		s.AddEarlier(Position{3, 8}, 5, 10*second, 20*second)
		s.Pool(6, false)
		return &s
	}
	s := begin()
	expect(t, s, "unknown 3:8-5:0 ×6 10-20")
	if got := page(s, 3, 5, 9, 5, 6, 7, 8, 9); fmt.Sprint(got) != fmt.Sprint([]Kind{Lost, Lost}) {
		t.Errorf("got %v, want two that were lost", got)
	}
	page(s, 4, 1, 2, 1) // 2 never left
	expect(t, s, "final unknown 4:2-4:2 ×1 10-20, unknown 3:10-5:0 ×2 10-20")
	s.Lose(Position{3, 10}, Position{4, 0}) // nothing is between the pages
	expect(t, s, "final unknown 4:2-4:2 ×1 10-20, unknown 4:3-5:0 ×2 10-20")
	if got := page(s, 4, 3, 5, 3, 4, 5); fmt.Sprint(got) != fmt.Sprint([]Kind{Lost, Lost, Uncounted}) {
		t.Errorf("got %v, want two that were lost, and one more than the totals have", got)
	}
	s = begin()
	s.Lose(Position{}, Position{5, 0})
	expect(t, s, "final lost 3:8-5:0 ×6 10-20")
	s = begin()
	s.NoneEarlier()
	expect(t, s, "unknown 3:8-5:0 ×6 10-20")
	s = &Set{}
	s.AddEarlier(Position{3, 8}, 5, 10*second, 20*second)
	s.NoneEarlier()
	if !s.Empty() {
		t.Error("what the totals say is empty is still open")
	}
}

func TestAClosedSetHasNothingOpen(t *testing.T) {
	s := Set{Closed: true}
	s.Add(1, 1, 3, true, 10*second, 11*second)
	s.AddEarlier(Position{1, 4}, 2, 11*second, 12*second)
	s.Pool(7, false)
	if !s.Empty() {
		t.Error("something is open")
	}
	expect(t, &s, "final unknown 1:1-1:3 ×3 10-11, final lost 1:4-2:0 ×7 11-12")
}

// model is a set as a map.
type model struct {
	open  map[uint64]Kind
	ended map[uint64]bool
}

func (m *model) check(t *testing.T, step int, s *Set) {
	t.Helper()
	if got := s.Open(); got != uint64(len(m.open)) {
		t.Fatalf("step %d: got %d open, want %d: %s", step, got, len(m.open), text(s))
	}
	ended, before := uint64(0), Position{}
	for i := range s.final {
		ended += s.final[i].size()
	}
	if ended != uint64(len(m.ended)) && len(s.final) < MaxFinal {
		t.Fatalf("step %d: got %d final, want %d", step, ended, len(m.ended))
	}
	for i := range s.open {
		n := &s.open[i]
		if n.a.Before(before) || n.size() == 0 {
			t.Fatalf("step %d: run %d is out of order: %+v", step, i, s.open)
		}
		before = n.b.Next()
		for number := n.a.Number; number <= n.b.Number; number++ {
			if m.open[number] != n.kind() {
				t.Fatalf("step %d: %d: got %v, want %v", step, number, n.kind(), m.open[number])
			}
		}
	}
}

// step does one thing to both.
func (m *model) step(random *rand.Rand, s *Set, next *uint64) {
	within := func() (a, b uint64) {
		a = 1 + random.Uint64N(*next)
		return a, a + random.Uint64N(20)
	}
	switch random.IntN(8) {
	case 0, 1, 2:
		first := *next + random.Uint64N(4)
		last := first + random.Uint64N(30)
		*next = last + 1 + random.Uint64N(2)
		unknown := random.IntN(3) == 0
		s.Add(1, first, last, unknown, int64(first)*second, int64(last)*second)
		for n := first; n <= last; n++ {
			m.open[n] = map[bool]Kind{true: Unknown, false: Lost}[unknown]
		}
		if random.IntN(4) == 0 { // numbers before, of which some are there
			first = max(first, 50) - 49
			last = min(first+random.Uint64N(40), *next-1)
			for n := first; n <= last; n++ {
				if m.ended[n] {
					return
				}
			}
			s.Add(1, first, last, false, int64(first)*second, int64(last)*second)
			for n := first; n <= last; n++ {
				if m.open[n] == None {
					m.open[n] = Lost
				}
			}
		}
	case 3, 4:
		n, _ := within()
		if kind := s.Fill(Position{1, n}); m.open[n] == None && kind != None {
			delete(m.ended, n)
		} else if kind != m.open[n] {
			panic("another kind")
		}
		delete(m.open, n)
	case 5, 6:
		a, b := within()
		upTo := a + random.Uint64N(b-a+1)
		pieces, _ := s.Cut(nil, 1, a, b)
		for i := range pieces {
			for n := pieces[i].First; n <= min(upTo, pieces[i].Last); n++ {
				if random.IntN(2) > 0 {
					m.ended[n] = true
				} else if s.Heal(&pieces[i], n) != m.open[n] {
					panic("another kind")
				}
				delete(m.open, n)
			}
		}
		s.Decide(pieces, upTo)
	case 7:
		a, b := within()
		if random.IntN(8) > 0 {
			b = a
		}
		s.Lose(Position{1, a}, Position{1, b})
		for n := a; n <= b; n++ {
			if m.open[n] != None {
				m.ended[n] = true
				delete(m.open, n)
			}
		}
	}
}

func TestTheSetAgreesWithAMap(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		s, m, next := &Set{}, &model{open: map[uint64]Kind{}, ended: map[uint64]bool{}}, uint64(1)
		for step := range 400 {
			m.step(random, s, &next)
			m.check(t, step, s)
			if step%50 == 0 {
				m.again(t, step, s)
			}
		}
	}
}

// again checks what is read from what is kept.
func (m *model) again(t *testing.T, step int, s *Set) {
	t.Helper()
	var exact, short Set
	if excess, err := exact.Parse(s.Append(nil, 1<<20)); err != nil || excess != 0 || text(&exact) != text(s) {
		t.Fatalf("step %d: got %v, excess %d\n%s\nwant\n%s", step, err, excess, text(&exact), text(s))
	}
	m.check(t, step, &exact)
	b := s.Append(nil, 200+step)
	excess, err := short.Parse(b)
	if err != nil || len(b) > 200+step || short.Open()-excess > s.Open() {
		t.Fatalf("step %d: %d bytes, %v: %d open of which %d are not, want at most %d", step, len(b), err, short.Open(),
			excess, s.Open())
	}
}

func TestTheSetIsBounded(t *testing.T) {
	var s Set
	s.Add(1, 1, 1000, false, 1, 2)
	for n := uint64(2000); n < 2000+4*MaxSpans; n += 2 {
		s.Add(1, n, n, false, int64(n), int64(n))
	}
	if len(s.open) != MaxSpans || s.open[0].size() != 1000 {
		t.Errorf("got %d runs, the first of %d; want the largest kept", len(s.open), s.open[0].size())
	}
	if got := s.Fill(Position{1, 500}); got != Stuck {
		t.Errorf("got %v, want that there is no room", got)
	}
	if _, ok := s.Cut(nil, 1, 400, 500); ok {
		t.Error("a cut found room for two parts")
	}
	s.Lose(Position{1, 400}, Position{1, 500})
	if len(s.open) != MaxSpans || s.open[0].a != (Position{1, 501}) {
		t.Errorf("got %d runs from %v, want them from 501", len(s.open), s.open[0].a)
	}
	s.Add(1, 100_000, 200_000, false, 5, 6)
	if len(s.open) != MaxSpans || s.open[0].size() != 1 || len(s.final) > MaxFinal {
		t.Errorf("got %d runs, the first of %d, %d final; want the oldest gone", len(s.open), s.open[0].size(),
			len(s.final))
	}
}

func FuzzParse(f *testing.F) {
	var s Set
	s.Add(3, 5, 9, false, 10*second, 12*second)
	s.AddEarlier(Position{1, 4}, 3, 11*second, 12*second)
	s.Pool(7, true)
	s.Add(3, 20, 29, true, 30*second, 32*second)
	page(&s, 3, 22, 24, 22)
	f.Add(s.Append(nil, 1000))
	f.Add(s.Append(nil, 10))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s, again Set
		if _, err := s.Parse(b); err != nil {
			return
		}
		if len(s.open) > MaxSpans || len(s.final) > MaxFinal {
			t.Fatalf("got %d runs, %d final", len(s.open), len(s.final))
		}
		once := s.Append(nil, 1<<20)
		if _, err := again.Parse(once); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		s.LoseAll()
		if !s.Empty() {
			t.Fatal("something is open")
		}
	})
}

// TestTheFormIsStable checks the bytes of what is kept.
func TestTheFormIsStable(t *testing.T) {
	var s Set
	s.Add(3, 5, 9, false, 10*second, 12*second)
	s.AddEarlier(Position{1, 4}, 3, 11*second, 12*second)
	s.Pool(7, true)
	s.Add(3, 20, 29, true, 30*second, 32*second)
	page(&s, 3, 22, 24, 22)
	got := hex.EncodeToString(s.Append(nil, 1000))
	const want = "0100070001" + // a pool of 7 unknown ones; one hole is final:
		"09031701808ece1c8092f40100" + // 3:23 to 24, all of it
		"1b0104020080e3be0a80897a" + // 1:4 to the end of epoch 2
		"00050480dac4098092f401" + "010b01808ece1c8092f401" + "050404" // 3:5 to 9, 20 to 21, and 25 to 29
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back Set
	if _, err := back.Parse(s.Append(nil, 1000)); err != nil || text(&back) != text(&s) {
		t.Errorf("got  %v %s\nwant %s", err, text(&back), text(&s))
	}
}

// Two restarts of the transmitter, of which the second shows that what is missing since
// before the first does not come again.
func TestWhatIsMissingOfEarlierEpochsKeepsItsTimes(t *testing.T) {
	var s Set
	s.AddEarlier(Position{Epoch: 1, Number: 5}, 2, 100, 200)
	s.Pool(10, true)
	s.AddEarlier(Position{Epoch: 2, Number: 8}, 3, 300, 400)
	s.Lose(Position{}, Position{Epoch: 3})
	got := s.Holes()
	if len(got) != 1 || !got[0].Final || got[0].Records != 10 || got[0].From.UnixNano() != 100 ||
		got[0].To.UnixNano() != 400 {
		t.Errorf("got %+v, want 10 records that are final, from 100 to 400", got)
	}
}
