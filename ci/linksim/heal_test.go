package linksim

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/wire"
)

var oneSeed = flag.Uint64("seed", 0, "the one seed that TestOutagesHeal is to try")

// pair is a pair of boards whose link goes dark and whose roles end at random times.
type pair struct {
	*Sim
	rnd      *rand.Rand
	link     *linktest.Link
	tap      tap
	channels []*stream
	kills    bool
	epoch    uint64
	kept     Account // as the receiver last kept it
	keptAt   time.Time
	ids      uint64
	txOn     time.Time // when the transmitter is to start; zero: it is up
	rxOn     time.Time
	trace    string // of what happened
	err      error
}

func newPair(seed uint64) *pair {
	rnd := rand.New(rand.NewPCG(seed, 11))
	p := &pair{rnd: rnd, link: linktest.New(seed, linktest.Profile{}), kills: rnd.IntN(3) == 0}
	if rnd.IntN(3) > 0 {
		p.Sim = New(wire.DatagramProfile(1472, 66), 1e6)
		p.Step = time.Millisecond
	} else {
		p.Sim = New(wire.UARTProfile(921600), 92160)
		p.Step = 2 * time.Millisecond
	}
	p.Memory = 64<<10 + rnd.IntN(512<<10)
	p.Impair = p.link.Datagram
	p.Tap = p.tap.frame
	p.tap.left, p.tap.window, p.tap.page = p.left, p.window, p.page
	for i := range 1 + rnd.IntN(3) {
		c := newStream(p, fmt.Sprint("channel ", i))
		p.channels = append(p.channels, c)
	}
	p.startTX()
	p.startRX()
	return p
}

func (p *pair) fail(format string, a ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("after%s, at %s: "+format, append([]any{p.trace, p.Now.Sub(New(p.Profile, 1).Now)}, a...)...)
	}
}

func (p *pair) startTX() {
	p.epoch++
	if err := p.StartTX(p.epoch); err != nil {
		p.fail("%v", err)
	}
	if err := p.tap.restart(p.epoch); err != nil {
		p.fail("%v", err)
	}
	p.txOn = time.Time{}
	for _, c := range p.channels {
		c.startTX()
	}
}

// endTX ends the transmitter, whose window is lost. It had kept its totals.
func (p *pair) endTX() {
	p.keepTotals()
	p.TX = nil
}

func (p *pair) keepTotals() {
	for i, t := range p.TX.Mux.AppendTotals(nil) {
		p.channels[i].total = t.Records
	}
}

func (p *pair) startRX() {
	p.StartRX(AdmitAll{})
	p.rxOn = time.Time{}
	for _, c := range p.channels {
		c.out = p.RX.Channel(c.name, c.deliver)
		c.out.TakeLate(c.late)
	}
	p.RX.Resume(p.kept)
}

// endRX ends the receiver in order.
func (p *pair) endRX() {
	for _, c := range p.channels {
		c.waiting = nil // its peer takes what the sink has, or its disk does
	}
	p.keepAccount(true)
	p.RX = nil
}

// killRX ends the receiver, with what its sinks have in memory.
func (p *pair) killRX() {
	for _, c := range p.channels {
		c.kill()
	}
	p.RX = nil
}

// keepAccount keeps the receiver's account; without a session it is as exact as it was.
func (p *pair) keepAccount(exact bool) {
	p.keptAt = p.Now
	p.kept = p.RX.Account()
	if _, _, ok := p.RX.Opener.Sequence(); ok {
		p.kept.Exact = exact
	}
	for _, c := range p.channels {
		p.kept.Channels[c.id] = c.out.Account(uint64(len(c.waiting)), 1<<16)
		c.keep()
	}
}

// work is what happens in a step.
func (p *pair) work() {
	if !p.txOn.IsZero() && !p.Now.Before(p.txOn) {
		p.startTX()
	}
	if !p.rxOn.IsZero() && !p.Now.Before(p.rxOn) {
		p.startRX()
	}
	if p.RX != nil {
		if _, _, ok := p.RX.Opener.Sequence(); ok && p.kept.Exact || p.Now.Sub(p.keptAt) >= time.Second {
			p.keepAccount(false) // a run that ended in order is over at the next session
		}
		for _, c := range p.channels {
			c.balanced()
		}
	}
}

func (p *pair) put() {
	p.work()
	if p.TX == nil {
		return
	}
	for _, c := range p.channels {
		c.put()
	}
}

// run runs a time, in which each is called before every step.
func (p *pair) run(d time.Duration, each func()) {
	for end := p.Now.Add(d); p.Now.Before(end) && p.err == nil; {
		if err := p.Run(p.Step, each); err != nil {
			p.fail("%v", err)
		}
	}
}

// outage lets one thing happen to the pair.
func (p *pair) outage() {
	length := time.Duration(float64(30*time.Millisecond) * float64(1+p.rnd.IntN(10)) * float64(1+p.rnd.IntN(10)))
	switch p.rnd.IntN(6) {
	case 0, 1:
		p.trace += fmt.Sprint(" dark for ", length)
		p.link.Set(linktest.Profile{Cut: true})
		p.run(length, p.put)
		p.link.Set(linktest.Profile{})
		return
	case 2:
		p.trace += fmt.Sprint(" loss for ", length)
		p.link.Set(linktest.Profile{Loss: 0.3 * p.rnd.Float64(), Burst: float64(p.rnd.IntN(20)),
			Reorder: 0.05 * p.rnd.Float64(), Duplicate: 0.05 * p.rnd.Float64()})
	case 3:
		if p.TX != nil {
			p.trace += fmt.Sprint(" TX ended for ", length)
			p.endTX()
			p.txOn = p.Now.Add(length)
		}
	case 4:
		if p.RX != nil {
			p.trace += fmt.Sprint(" RX ended for ", length)
			p.endRX()
			p.rxOn = p.Now.Add(length)
		}
	case 5:
		if p.RX != nil && p.kills {
			p.trace += fmt.Sprint(" RX killed for ", length)
			p.killRX()
			p.rxOn = p.Now.Add(length)
		}
	}
	p.run(time.Duration(float64(length)*1.5*p.rnd.Float64()), p.put)
}

// settle has both ends come to rest on a link that passes everything.
func (p *pair) settle() {
	p.link.Set(linktest.Profile{})
	p.trace += " back"
	for p.TX == nil || p.RX == nil {
		p.run(10*time.Millisecond, p.work)
	}
	p.run(time.Duration(p.rnd.IntN(300))*time.Millisecond, p.put)
	if p.rnd.IntN(2) == 0 {
		p.flicker()
	}
	for p.TX.Mux.Waiting() && p.err == nil {
		p.run(10*time.Millisecond, p.work)
	}
	p.run(1300*time.Millisecond, p.work) // a hello and totals
	p.pass()
	for i := 0; i < 1000 && p.waits(); i++ {
		p.run(p.Step, p.work)
	}
	for _, c := range p.channels {
		c.check()
	}
}

// flicker loses some of what heals.
func (p *pair) flicker() {
	for range 1 + p.rnd.IntN(6) {
		p.link.Set(linktest.Profile{Cut: p.rnd.IntN(2) == 0, Loss: 0.6})
		p.run(time.Duration(5+p.rnd.IntN(60))*time.Millisecond, p.put)
		p.link.Set(linktest.Profile{})
		p.run(time.Duration(5+p.rnd.IntN(400))*time.Millisecond, p.put)
	}
}

// pass waits for the end of a pass that has not begun yet.
func (p *pair) pass() {
	w := p.TX.Replay
	until := w.Stats().Passes + 1
	if !w.Wake().After(p.Now) {
		until++ // one is running
	}
	for limit := p.Now.Add(time.Minute); w.Stats().Passes < until && p.err == nil; {
		if p.Now.After(limit) {
			p.fail("a pass over %d bytes does not end", w.Stats().Bytes)
		}
		p.run(p.Step, p.work)
	}
}

func (p *pair) waits() bool {
	for _, c := range p.channels {
		if c.out.Waits() {
			return true
		}
	}
	return false
}

// heal tries a seed.
func heal(seed uint64) (healed uint64, err error) {
	p := newPair(seed)
	p.run(time.Duration(p.rnd.IntN(1000))*time.Millisecond, p.put)
	for range 1 + p.rnd.IntN(2) {
		for range 1 + p.rnd.IntN(3) {
			p.outage()
		}
		if p.settle(); p.err != nil {
			return 0, p.err
		}
	}
	for _, c := range p.channels {
		healed += c.out.Status().Healed
	}
	return healed, p.err
}

// TestOutagesHeal lets all kinds of outages happen, and after each compares what both
// ends say with what became of every record. -seed N tries one.
func TestOutagesHeal(t *testing.T) {
	seeds := uint64(outageSeeds)
	if testing.Short() {
		seeds = min(seeds, 100)
	}
	if *oneSeed > 0 {
		if _, err := heal(*oneSeed); err != nil {
			t.Fatal(err)
		}
		return
	}
	var next, healed, failed atomic.Uint64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed <= seeds && failed.Load() < 5; seed = next.Add(1) {
				n, err := heal(seed)
				if healed.Add(n); err != nil {
					failed.Add(1)
					t.Errorf("-seed %d: %v", seed, err)
				}
			}
		})
	}
	workers.Wait()
	if t.Failed() {
		return
	}
	if healed.Load() < 100*seeds {
		t.Errorf("got %d healed, want many", healed.Load())
	}
}
