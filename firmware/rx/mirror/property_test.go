package mirror

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/rx/holes"
)

// pair is a transmitter with a window of what has left, and a receiver; either can
// end at any time.
type pair struct {
	t      *testing.T
	random *rand.Rand
	now    int64
	seed   uint64
	kills  bool

	// The transmitter.
	epoch, seq  uint64
	conflated   uint64
	earlier     uint64 // records of earlier epochs
	window      []page
	open        record.ReplayWriter
	keys        map[string]record.Entry
	encoder     *zstd.Encoder
	left        map[holes.Position]bool // true: a record of the log
	unreachable holes.Position          // what left before is not in the window

	// The receiver.
	rx        *Channel
	on        bool
	kept      Account
	reader    record.ReplayReader
	cut       int // records until the link is back
	perfect   bool
	delivered map[holes.Position]int
	again     map[holes.Position]bool // may be delivered once more, because of a crash
	sinceKept []holes.Position
	late      holes.Position // delivered last
	live      holes.Position
	newest    map[string]holes.Position
}

type page struct {
	epoch, first, last uint64
	body               []byte
}

func newPair(t *testing.T, seed uint64, l Late, kills bool) *pair {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{
		t: t, random: rand.New(rand.NewPCG(seed, 2)), seed: seed, kills: kills, now: 1_700_000_000_000_000_000,
		encoder: encoder, left: map[holes.Position]bool{}, delivered: map[holes.Position]int{},
		again: map[holes.Position]bool{}, newest: map[string]holes.Position{}, unreachable: holes.Position{Epoch: 1},
	}
	p.startTX()
	p.startRX(l, true)
	return p
}

func (p *pair) startTX() {
	p.closePage()
	p.earlier += p.seq + p.conflated
	p.epoch++
	p.seq, p.conflated, p.keys = 0, 0, map[string]record.Entry{}
	p.open.Reset(1)
}

func (p *pair) startRX(l Late, exact bool) {
	p.rx, p.on = New(p.deliver), true
	p.rx.TakeLate(l)
	p.rx.ShareRoom(&Room{Limit: 2000})
	p.rx.At(p.now)
	p.rx.Resume(p.kept, exact)
	p.begin(exact)
	p.newest = map[string]holes.Position{} // its state is empty
}

// begin is a session of the present epoch.
func (p *pair) begin(exact bool) {
	p.rx.Begin(p.epoch, p.seq == 0)
	if p.kept.Epoch == p.epoch && p.kept.Next > 0 {
		p.rx.Continue(p.kept, exact)
	}
	p.kept = Account{}
}

// deliver checks one delivery.
func (p *pair) deliver(u Update) {
	if u.Delete && !u.Event {
		return
	}
	var at holes.Position
	if _, err := fmt.Sscanf(string(u.Payload), "%d/%d", &at.Epoch, &at.Number); err != nil {
		p.t.Fatalf("%q: %v", u.Payload, err)
	}
	event, left := p.left[at]
	repeated := p.delivered[at] > 0 && !p.again[at] && (u.Late || event)
	switch {
	case !left || event != u.Event:
		p.t.Fatalf("seed %d: %v was delivered, event %v, left %v", p.seed, at, u.Event, left)
	case repeated:
		p.t.Fatalf("seed %d: %v was delivered before", p.seed, at)
	case u.Late && !p.late.Before(at) && p.rx.late == InOrder:
		p.t.Fatalf("seed %d: late %v after %v", p.seed, at, p.late)
	case !u.Late && event && !p.live.Before(at):
		p.t.Fatalf("seed %d: live %v after %v", p.seed, at, p.live)
	case !u.Late && !event && at.Before(p.newest[string(u.Key)]):
		p.t.Fatalf("seed %d: %s went back from %v to %v", p.seed, u.Key, p.newest[string(u.Key)], at)
	}
	delete(p.again, at)
	if u.Late {
		p.late = at
	} else if event {
		p.live = at
	} else {
		p.newest[string(u.Key)] = at
	}
	p.delivered[at]++
	p.sinceKept = append(p.sinceKept, at)
}

// send numbers a record and lets it leave, or not.
func (p *pair) send() {
	p.seq++
	p.now += 1_000_000
	u := record.Update{Seq: p.seq, Time: p.now, Payload: fmt.Appendf(nil, "%d/%d", p.epoch, p.seq)}
	if u.Event = p.random.IntN(2) > 0; !u.Event {
		u.Key = fmt.Appendf(nil, "key %d", p.random.IntN(5))
		e, known := p.keys[string(u.Key)]
		if !known {
			e = record.Entry{Created: p.seq, Key: u.Key}
		}
		u.Created, e.Seq, e.Time, e.Payload = e.Created, p.seq, u.Time, u.Payload
		p.keys[string(u.Key)] = e
		if p.random.IntN(4) == 0 {
			p.conflated++
		}
	}
	if u.Event && p.random.IntN(20) == 0 {
		return // the transmitter's queue is full
	}
	p.left[holes.Position{Epoch: p.epoch, Number: p.seq}] = u.Event
	p.open.Append(&record.Replayed{Seq: u.Seq, Time: u.Time, Event: u.Event, Key: u.Key, Payload: u.Payload})
	if len(p.open.Entries) > 400 {
		p.closePage()
	}
	if p.arrives() {
		var back record.Update
		if err := back.Parse(u.Append(nil)); err != nil {
			p.t.Fatal(err)
		}
		p.rx.Update(&back)
	}
}

// arrives reports whether something gets through.
func (p *pair) arrives() bool {
	if p.cut > 0 {
		p.cut--
	} else if !p.perfect && p.random.IntN(40) == 0 {
		p.cut = p.random.IntN(40)
	}
	if p.on {
		p.rx.At(p.now)
	}
	return p.on && p.cut == 0
}

func (p *pair) closePage() {
	if p.open.Last < p.open.First || p.epoch == 0 {
		return
	}
	body := p.open.AppendReplay(nil, 0, p.epoch, p.encoder)
	p.window = append(p.window, page{p.epoch, p.open.First, p.open.Last, body})
	p.open.Reset(p.open.Last + 1)
	if len(p.window) > 200 {
		p.evict()
	}
}

// evict discards the oldest page.
func (p *pair) evict() {
	p.unreachable = holes.Position{Epoch: p.window[0].epoch, Number: p.window[0].last}
	p.window = p.window[1:]
}

func (p *pair) totals() {
	if p.arrives() {
		p.rx.Totals(&record.Totals{Seq: p.seq, Conflated: p.conflated, Earlier: p.earlier, State: record.SourceUp})
	}
}

func (p *pair) carousel() {
	if !p.arrives() || p.seq == 0 {
		return
	}
	body, run := record.AppendPage(nil, &record.Page{Last: true, Seq: p.seq, To: p.seq}), record.Run{}
	for seq := uint64(1); seq <= p.seq; seq++ {
		for _, e := range p.keys {
			if e.Created == seq {
				body = run.AppendEntry(body, &e)
			}
		}
	}
	var back record.Page
	if err := back.Parse(body); err != nil {
		p.t.Fatal(err)
	}
	if err := p.rx.Page(&back); err != nil {
		p.t.Fatal(err)
	}
}

// pass sends the window.
func (p *pair) pass() {
	begin := record.Window{Epoch: p.epoch, First: p.open.First}
	if len(p.window) > 0 {
		begin = record.Window{Epoch: p.window[0].epoch, First: p.window[0].first}
	}
	if p.arrives() {
		p.rx.Window(&begin)
	}
	pages := p.window
	if p.open.Last >= p.open.First {
		body := p.open.AppendReplay(nil, 0, p.epoch, p.encoder)
		pages = append(pages[:len(pages):len(pages)], page{p.epoch, p.open.First, p.open.Last, body})
	}
	for _, page := range pages {
		if !p.arrives() {
			if p.on {
				p.rx.MissReplay()
			}
			continue
		}
		var back record.Replay
		if err := back.Parse(page.body); err != nil {
			p.t.Fatal(err)
		}
		if err := p.rx.Replay(&back, page.body); err != nil {
			p.t.Fatal(err)
		}
		if p.random.IntN(3) == 0 || p.perfect {
			p.heal()
		}
		if p.random.IntN(10) == 0 && !p.perfect {
			p.send()
		}
	}
}

// heal has the receiver work on a page.
func (p *pair) heal() {
	if _, err := p.rx.Heal(&p.reader); err != nil {
		p.t.Fatal(err)
	}
}

// happen lets one thing happen to the pair.
func (p *pair) happen(l Late) {
	switch n := p.random.IntN(120); {
	case n < 6:
		p.totals()
	case n < 9:
		p.pass()
	case n < 12:
		p.carousel()
	case n == 12 && len(p.window) > 20:
		p.evict()
	case n == 13:
		p.startTX()
		if p.on {
			p.rx.At(p.now)
			p.begin(true)
		}
	case n == 14 && p.random.IntN(10) == 0: // without a disk
		p.window = nil
		p.startTX()
		p.window, p.unreachable = nil, holes.Position{Epoch: p.epoch}
		if p.on {
			p.rx.At(p.now)
			p.begin(true)
		}
	case n == 15 && p.on:
		p.kept, p.on = p.rx.Account(0, 1<<16), false
	case n == 16 && p.on && p.kills:
		p.kill()
	case n < 30 && !p.on:
		p.startRX(l, p.kept.Epoch != 0 || !p.kills)
	case n < 60:
		p.send()
	case n < 70 && p.on:
		p.heal()
	}
}

// kill ends the receiver; some time before it had kept its account.
func (p *pair) kill() {
	p.kept = p.rx.Account(uint64(p.random.IntN(10)), 1<<16)
	p.kept.Volatile = 0
	for _, r := range p.kept.Recent { // what waits in the sink
		p.kept.Volatile += r.Records
		for n := range r.Records {
			p.again[holes.Position{Epoch: r.Epoch, Number: r.First + n}] = true
		}
	}
	since := len(p.sinceKept)
	for range p.random.IntN(30) {
		p.send()
	}
	if p.random.IntN(2) > 0 {
		p.pass()
	}
	for _, at := range p.sinceKept[since:] {
		p.again[at] = true
	}
	p.late, p.live = holes.Position{}, holes.Position{}
	p.startRX(p.rx.late, false)
}

// balanced checks the account.
func (p *pair) balanced(step int) {
	if !p.on {
		return
	}
	st := p.rx.Status()
	if sum := st.numbered() + st.Conflated; sum != st.Sent || st.Healed > st.reached() {
		p.t.Fatalf("seed %d, step %d: %d sent, but the terms sum to %d: %+v", p.seed, step, st.Sent, sum, st)
	}
	if !p.kills && st.Delivered != uint64(len(p.delivered)) {
		p.t.Fatalf("seed %d, step %d: %d counted as delivered, %d were", p.seed, step, st.Delivered, len(p.delivered))
	}
	if p.rx.Open() > st.Lost+st.Unknown {
		p.t.Fatalf("seed %d, step %d: %d open of %+v", p.seed, step, p.rx.Open(), st)
	}
}

// inReach checks that nothing is final that the transmitter can send again.
func (p *pair) inReach(step int) {
	for _, h := range p.rx.Holes() {
		if !h.Final || h.First.Epoch != h.Last.Epoch || h.Records != h.Last.Number-h.First.Number+1 {
			continue
		}
		for at := h.First; !h.Last.Before(at); at = at.Next() {
			if _, left := p.left[at]; left && p.delivered[at] == 0 && p.unreachable.Before(at) {
				p.t.Fatalf("seed %d, step %d: %v is final, but in reach", p.seed, step, at)
			}
		}
	}
}

// settle has everything arrive that can.
func (p *pair) settle(l Late) {
	if !p.on {
		p.startRX(l, p.kept.Epoch != 0)
	}
	p.cut, p.perfect = 0, true
	for p.send(); p.open.Last != p.seq; p.send() { // the last one leaves
	}
	p.totals()
	p.pass()
	for p.rx.Waits() {
		p.heal()
	}
	p.totals()
	p.pass()
	st := p.rx.Status()
	missing, final := 0, uint64(0)
	for at := range p.left {
		if p.delivered[at] == 0 && p.unreachable.Before(at) {
			missing++
		}
	}
	for _, h := range p.rx.Holes() {
		final += h.Records
	}
	if missing > 0 || p.rx.Open() > 0 {
		p.t.Errorf("seed %d: %d records in reach are missing, %d still open", p.seed, missing, p.rx.Open())
	}
	if final != st.Lost+st.Unknown {
		p.t.Errorf("seed %d: holes of %d records, of %d lost and %d unknown", p.seed, final, st.Lost, st.Unknown)
	}
}

// TestHealingIsExact lets all kinds of losses and restarts happen.
func TestHealingIsExact(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 10
	}
	for _, c := range []struct {
		name  string
		late  Late
		kills bool
	}{{"in order", InOrder, false}, {"any order", AnyOrder, false}, {"in order, with crashes", InOrder, true}} {
		t.Run(c.name, func(t *testing.T) {
			healed := uint64(0)
			for seed := range seeds {
				p := newPair(t, seed, c.late, c.kills)
				for step := range 3000 {
					p.happen(c.late)
					p.balanced(step)
					if step%20 == 0 {
						p.inReach(step)
					}
				}
				p.settle(c.late)
				p.balanced(-1)
				healed += p.rx.Status().Healed
			}
			if healed < 100*seeds {
				t.Errorf("got %d healed, want many", healed)
			}
		})
	}
}
