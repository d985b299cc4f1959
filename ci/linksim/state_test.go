package linksim

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/tx/send"
)

// plant is a source of random state: every value begins with a number that no
// earlier one has.
type plant struct {
	t    *testing.T
	sim  *Sim
	rnd  *rand.Rand
	link *linktest.Link
	in   *send.Channel
	out  *mirror.Channel
	n    int
	keys int
	seen map[string]int    // the newest number delivered of a key, its deletion included
	got  map[string]string // the state, from deliveries alone
}

func newPlant(t *testing.T, seed uint64, p wire.Profile, rate float64) *plant {
	c := &plant{t: t, sim: New(p, rate), rnd: rand.New(rand.NewPCG(seed, 2)), keys: 150}
	c.link = linktest.New(seed, linktest.Profile{})
	c.sim.Impair = c.link.Datagram
	c.startTX(1)
	c.startRX()
	return c
}

func (c *plant) startTX(epoch uint64) {
	if err := c.sim.StartTX(epoch); err != nil {
		c.t.Fatal(err)
	}
	c.in = c.sim.TX.Mux.Channel(channel, wire.LowLatency)
	c.sim.TX.Mux.SetComplete(c.in, true)
	c.seen = map[string]int{} // values that waited are put again, with the old ones' numbers
}

func (c *plant) startRX() {
	c.sim.StartRX(AdmitAll{})
	c.seen, c.got = map[string]int{}, map[string]string{}
	c.out = c.sim.RX.Channel(channel, c.deliver)
}

func (c *plant) deliver(u mirror.Update) {
	if u.Key == nil {
		return
	}
	key, value := string(u.Key), string(u.Payload)
	if number, _, ok := strings.Cut(value, " "); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n <= c.seen[key] {
			c.t.Errorf("%s: number %s after %d (deleted: %v, error %v)", key, number, c.seen[key], u.Delete, err)
		}
		c.seen[key] = n
	}
	if u.Delete {
		delete(c.got, key)
	} else {
		c.got[key] = value
	}
}

// work puts what a source might.
func (c *plant) work() {
	for range c.rnd.IntN(8) {
		c.n++
		r := send.Record{Payload: fmt.Appendf(nil, "%d %*d", c.n, c.rnd.IntN(20), 0)}
		switch x := c.rnd.IntN(400); {
		case x < 20:
			r.Event = true
		case x < 22:
			r.Payload = fmt.Appendf(nil, "%d %*d", c.n, c.rnd.IntN(5000), 0)
		case x < 30:
			r.Delete = true
		case x < 32:
			r.Urgent = true
		}
		if !r.Event || c.rnd.IntN(2) == 0 {
			r.Key = fmt.Appendf(nil, "tag/%d", c.rnd.IntN(1+c.rnd.IntN(c.keys)))
		}
		if r.Urgent { // which may overtake what waits of a key, so these have their own
			r.Key = fmt.Appendf(nil, "alarm/%d", c.rnd.IntN(10))
		}
		if c.rnd.IntN(3) > 0 {
			r.Time = c.sim.Now.UnixNano() + 100*c.rnd.Int64N(10_000)
		}
		if _, err := c.sim.TX.Mux.Put(c.in, r); err != nil {
			c.t.Fatal(err)
		}
	}
}

// check lets the link come to rest and compares both ends.
func (c *plant) check(when string, exact bool) {
	c.t.Helper()
	c.link.Set(linktest.Profile{})
	for c.sim.TX.Mux.Waiting() {
		c.sim.mustRun(c.t, 100*time.Millisecond, nil)
	}
	c.sim.mustRun(c.t, 5*time.Second, nil)
	want, snapshot := map[string]string{}, map[string]string{}
	c.sim.TX.Mux.Range(c.in, func(key, payload []byte) bool { want[string(key)] = string(payload); return true })
	c.out.Range(func(key, payload []byte) bool { snapshot[string(key)] = string(payload); return true })
	st, sent := c.out.Status(), c.sim.TX.Mux.Counts(c.in).Sent
	if !st.Complete || st.Mismatches != 0 || st.Keys != len(want) {
		c.t.Errorf("%s: got %+v, want %d keys, complete, no mismatch", when, st, len(want))
	}
	for name, got := range map[string]map[string]string{"delivered": c.got, "snapshot": snapshot} {
		for key, value := range want {
			if got[key] != value {
				c.t.Errorf("%s: %s %s: got %q, want %q", when, name, key, got[key], value)
			}
		}
		if len(got) != len(want) {
			c.t.Errorf("%s: %s %d keys, want %d", when, name, len(got), len(want))
		}
	}
	if sum := st.Delivered + st.Conflated + st.Lost + st.Unknown; exact && sum != sent {
		c.t.Errorf("%s: sent %d, account %+v sums to %d", when, sent, st.Counts, sum)
	}
}

// TestSnapshotEqualsSource compares both ends after all that can come between.
func TestSnapshotEqualsSource(t *testing.T) {
	for _, medium := range []struct {
		name    string
		profile wire.Profile
		rate    float64
	}{
		{"datagrams", wire.DatagramProfile(1472, 66), 1e6},
		{"small frames", wire.UARTProfile(921600), 2e5},
	} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("%s %d", medium.name, seed), func(t *testing.T) {
				c := newPlant(t, seed, medium.profile, medium.rate)
				phase := func(d time.Duration, p linktest.Profile) {
					c.link.Set(p)
					c.sim.mustRun(t, d, c.work)
				}
				phase(500*time.Millisecond, linktest.Profile{})
				phase(500*time.Millisecond, linktest.Profile{Loss: 0.05, Reorder: 0.1, Duplicate: 0.05})
				c.check("a line as any", true)
				phase(500*time.Millisecond, linktest.Profile{Loss: 0.5, Burst: 20})
				phase(300*time.Millisecond, linktest.Profile{})
				c.check("after losses", true)
				phase(200*time.Millisecond, linktest.Profile{})
				c.startRX()
				phase(600*time.Millisecond, linktest.Profile{Loss: 0.02})
				c.check("a late receiver", true)
				phase(100*time.Millisecond, linktest.Profile{})
				c.startRX()
				phase(600*time.Millisecond, linktest.Profile{Loss: 0.5, Burst: 5})
				c.check("a late receiver on a bad line", true)
				phase(100*time.Millisecond, linktest.Profile{})
				c.startTX(2)
				phase(500*time.Millisecond, linktest.Profile{Loss: 0.3})
				c.check("a new epoch", false)
			})
		}
	}
}
