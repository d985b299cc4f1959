package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/uabinary"
	"heliograph/firmware/platform/status"
	"heliograph/tools/plant"
)

// numbered is what the plant says while RX is off: how many numbers, and how far apart.
const (
	numbered = 12
	apart    = 2 * time.Second
)

// outage takes RX's power away while the plant goes on: what it says then is at a client of
// RX's broker, at the collector and in the mirror's history after the next boot. The
// machine that comes up lives as long as the test around this one.
func (p *pair) outage(t, outer *testing.T) {
	began := time.Now()
	said, changes := 0, []time.Time{}
	say := func(n int) {
		for range n {
			p.event(t, said)
			p.log(t, fmt.Sprintf("number-%03d", said))
			at, before := time.Now(), p.sent(t)
			p.tags.Change(tagCount, at)
			p.tx.until(t, "the values at the link", func() error { // a starved TX skips what the next one replaces
				if n := p.sent(t); n < before+tagCount {
					return fmt.Errorf("%d of %d are", n-before, tagCount)
				}
				return nil
			})
			changes = append(changes, at.Truncate(time.Millisecond))
			said++
			time.Sleep(apart)
		}
	}
	say(2)
	live := said
	p.rx.until(t, "what was said before", func() error { return p.collected(live) })
	p.link.SetCut(true) // first: bytes for a board that is off would wait, and hold up TX's board
	p.rx.cut()
	say(numbered)
	p.quiet(t) // a real wire keeps nothing for a receiver that is off
	p.rx = boot(outer, p.rxCard, p.rxWiring)
	p.rx.answers(t, "http://"+p.rxWiring.status+"/healthz")
	got := p.subscribe(t)
	p.link.SetCut(false)
	say(2)
	p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
	p.rx.until(t, "each line at the collector", func() error { return p.collected(said) })
	p.rx.until(t, "each message at a client of RX's broker", func() error {
		for i := live; i < said; i++ { // those before were received by a broker without clients
			if !strings.Contains(got.String(), fmt.Sprintf("hall/event %d\n", i)) {
				return fmt.Errorf("message %d is not there: %s", i, got.String())
			}
		}
		return nil
	})
	if !strings.Contains(got.String(), "late/hall/event") {
		t.Errorf("no message came late:\n%s", got.String())
	}
	var account string
	p.rx.until(t, "the account", func() (err error) { account, err = p.healed(); return err })
	t.Logf("%s", account)
	p.rx.until(t, "each value in the mirror's history", func() error { return p.kept(t, began, changes) })
}

// sent returns how many values TX has sent.
func (p *pair) sent(t *testing.T) uint64 {
	t.Helper()
	return count(t, p.txWiring, "press-line", func(c status.Channel) *uint64 { return c.Sent })
}

// collected returns an error while one of the first n lines is not at the collector.
func (p *pair) collected(n int) error {
	for i := range n {
		if !p.collector.has(fmt.Sprintf("number-%03d", i)) {
			return fmt.Errorf("line %d is not there", i)
		}
	}
	return nil
}

// event has the plant's controller publish a message that is not retained.
func (p *pair) event(t *testing.T, number int) {
	t.Helper()
	await.NoError(t, "publishing", func() error {
		said, err := exec.Command("mosquitto_pub", "-p", fmt.Sprint(p.broker), "-t", "hall/event", "-q", "1", "-m",
			fmt.Sprint(number)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
		return nil
	})
}

// subscribe has a client of RX's broker collect all messages, topic and payload, until the
// test ends.
func (p *pair) subscribe(t *testing.T) *lines {
	t.Helper()
	got := &lines{}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	p.rx.until(t, "a subscription at RX's broker", func() error {
		c := exec.CommandContext(ctx, "mosquitto_sub", "-p", fmt.Sprint(p.outlet), "-t", "#", "-q", "1", "-v", "-d")
		c.Stdout, c.Stderr = got, got
		if err := c.Start(); err != nil {
			return err
		}
		ended := make(chan struct{})
		go func() { defer close(ended); _ = c.Wait() }()
		for !strings.Contains(got.String(), "received SUBACK") {
			select {
			case <-ended:
				return fmt.Errorf("it ended: %s", got.String())
			case <-time.After(50 * time.Millisecond):
			}
		}
		return nil
	})
	return got
}

// healed returns the account of RX, and an error while it says that something is missing.
func (p *pair) healed() (account string, err error) {
	r, err := web.Get("http://" + p.rxWiring.status + "/status.json")
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	var got status.Snapshot
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&got); err != nil {
		return "", err
	}
	final := uint64(0)
	for _, name := range []string{"cell-1", "syslog", "press-line"} {
		c := got.Channels[name]
		if c.Lost == nil || c.Unknown == nil || c.Healed == nil || c.Delivered == nil || c.Refused == nil ||
			c.Conflated == nil {
			return "", errors.New(name + " has no account")
		}
		account += fmt.Sprintf("%s: %d delivered, %d healed, %d refused, %d conflated, %d lost, %d unknown, holes %v; ",
			name, *c.Delivered, *c.Healed, *c.Refused, *c.Conflated, *c.Lost, *c.Unknown, c.Holes)
		if final += *c.Lost; name != "press-line" {
			final += *c.Unknown // of values the power cut may leave some that the carousel has brought since
		}
	}
	if missing := got.Missing(); missing.Open > 0 || final > 0 || missing.Healed == 0 {
		err = errors.New(account)
	}
	return account, err
}

// kept returns an error unless the mirror's history of a tag has the changes, and no
// Bad_DataLost.
func (p *pair) kept(t *testing.T, began time.Time, changes []time.Time) error {
	s, err := client.Connect(t.Context(), client.Config{Endpoint: p.mirror, Policy: "None", ApplicationName: "it"})
	if err != nil {
		return err
	}
	defer s.Close()
	var got []time.Time
	r := client.HistoryRange{From: uabinary.Ticks(began), To: uabinary.Ticks(time.Now().Add(time.Hour)), Most: 1000}
	var lost error
	err = s.ReadHistory(t.Context(), r, []client.HistoryItem{{Node: plant.Tag(1)}},
		func(_ int, part client.HistoryPart) {
			for _, v := range part.Values {
				if v.Status == ua.StatusBadDataLost {
					lost = errors.New("Bad_DataLost")
				}
				got = append(got, uabinary.Time(v.SourceTime))
			}
			if part.Status != ua.StatusOK {
				lost = part.Status
			}
		})
	if err = errors.Join(err, lost); err != nil {
		return err
	}
	for _, c := range changes {
		if !slices.ContainsFunc(got, c.Equal) {
			return fmt.Errorf("the value of %v is not there: %v", c, got)
		}
	}
	return nil
}
