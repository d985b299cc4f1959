package bench

import (
	"fmt"
	"math/rand/v2"
	"time"

	"heliograph/ci/linksim"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/tx/send"
)

// healing is three channels on a simulated clock: values of a server, a log and topics.
type healing struct {
	*linksim.Sim
	rnd      *rand.Rand
	tags     *tags
	channels []healed
	topics   []float64
	err      error
}

// healed is a channel and how many of its records there are in a second.
type healed struct {
	in     *send.Channel
	out    *mirror.Channel
	rate   float64
	record func() send.Record
	owed   float64
}

const (
	healKeep  = 1 << 30 // of the window: more than an hour needs
	darkStep  = 50 * time.Millisecond
	outageFor = time.Hour
	healLimit = 50 * time.Minute // longer than that is over all budgets
)

func newHealing(p wire.Profile, rate, overhead, share float64) (*healing, error) {
	h := &healing{Sim: linksim.New(p, rate), rnd: rand.New(rand.NewPCG(3, 4)), tags: newTags(1000),
		topics: make([]float64, 200)}
	h.Overhead, h.Share, h.Memory = overhead, share, healKeep
	h.StartRX(linksim.AdmitAll{})
	if err := h.StartTX(1); err != nil {
		return nil, err
	}
	h.add("values", 1000, mirror.AnyOrder, h.value)
	h.add("log", 100, mirror.InOrder, h.line)
	h.add("topics", 100, mirror.InOrder, h.message)
	return h, nil
}

func (h *healing) add(name string, rate float64, late mirror.Late, record func() send.Record) {
	c := healed{in: h.TX.Mux.Channel(name, wire.LowLatency), rate: rate, record: record}
	c.out = h.RX.Channel(name, func(mirror.Update) {})
	c.out.TakeLate(late)
	h.TX.Mux.SetComplete(c.in, true)
	h.channels = append(h.channels, c)
}

func (h *healing) value() send.Record {
	u := h.tags.slow()
	return send.Record{Key: u.Key, Payload: u.Payload, Time: u.Time.UnixNano()}
}

// line is a line of a log of about 120 bytes (RFC 5424).
func (h *healing) line() send.Record {
	r := h.rnd
	texts := []string{
		"sshd %d - - Accepted publickey for operator from 10.4.%d.%d port %d ssh2: ED25519",
		"batchd %d BATCH - Recipe 7%d step %d finished after %d ms, 0 alarms, operator none",
		"kernel - - - [%d.%d] eth%d: link is up, 1000 Mbps, full duplex, flow control rx/tx %d",
		"historian %d - - wrote %d values of %d tags in %d ms to the local archive, queue empty",
		"plcgate %d IO - read of DB%d.DBW%d took %d µs, longer than the cycle time of the task",
	}
	head := fmt.Sprintf("<%d>1 %s line%d-hmi%02d ", 8*r.IntN(24)+r.IntN(8),
		h.Now.UTC().Format("2006-01-02T15:04:05.000000Z"), r.IntN(4), r.IntN(30))
	text := fmt.Sprintf(texts[r.IntN(len(texts))], 300+r.IntN(9000), r.IntN(256), r.IntN(256), r.IntN(65536))
	return send.Record{Payload: []byte(head + text), Time: h.Now.UnixNano(), Event: true}
}

// message is a message of a topic with a JSON text of about 60 bytes.
func (h *healing) message() send.Record {
	i := h.rnd.IntN(len(h.topics))
	h.topics[i] += h.rnd.NormFloat64()
	return send.Record{Event: true, Payload: fmt.Appendf(nil,
		"plant/line%d/cell%d/pressure\x00{\"ts\":%d,\"value\":%.3f,\"unit\":\"bar\",\"ok\":true}", i/50, i%50,
		h.Now.UnixMilli(), h.topics[i])}
}

// put puts what a time brings.
func (h *healing) put(step time.Duration) {
	for i := range h.channels {
		c := &h.channels[i]
		for c.owed += c.rate * step.Seconds(); c.owed >= 1; c.owed-- {
			if _, err := h.TX.Mux.Put(c.in, c.record()); err != nil {
				h.err = err
			}
		}
	}
}

func (h *healing) run(d, step time.Duration) error {
	h.Step = step
	if err := h.Run(d, func() { h.put(step) }); err != nil {
		return err
	}
	return h.err
}

// missing returns how many records are missing, and how many of them are final.
func (h *healing) missing() (records, final uint64) {
	for _, c := range h.channels {
		s := c.out.Status()
		records += s.Lost + s.Unknown
		final += s.Lost + s.Unknown - c.out.Open()
	}
	return records, final
}

// outage has the link dark for an hour and returns how long it takes until nothing is
// missing, and how many bytes the window has.
func (h *healing) outage(step time.Duration) (heals time.Duration, window int, err error) {
	if err := h.run(3*time.Second, step); err != nil {
		return 0, 0, err
	}
	h.Impair = func([]byte, func([]byte)) {}
	h.Silent = true // what is sent again has no use as long as nothing arrives
	if err := h.run(outageFor, darkStep); err != nil {
		return 0, 0, err
	}
	window = h.TX.Replay.Stats().Bytes
	h.Silent = false
	if err := h.run(200*time.Millisecond, step); err != nil { // a pass is past its beginning
		return 0, 0, err
	}
	h.Impair = nil
	began := h.Now
	for noticed := false; ; {
		if err := h.run(100*time.Millisecond, step); err != nil {
			return 0, 0, err
		}
		switch records, final := h.missing(); {
		case final > 0:
			return 0, 0, fmt.Errorf("bench: %d records are lost for good", final)
		case records > 0:
			noticed = true
		case noticed:
			return h.Now.Sub(began), window, nil
		}
		if took := h.Now.Sub(began); took >= healLimit {
			return took, window, nil
		}
	}
}

// heal measures how long an hour's outage takes to heal, what the window takes, how
// live records fare beside it, and the history.
func heal() ([]Figure, error) {
	var out []Figure
	for _, c := range []struct {
		name   string
		p      wire.Profile
		rate   float64
		floor  float64 // of parity
		share  float64 // of the carousel
		step   time.Duration
		budget float64
	}{
		{"100 Mbit/s", datagrams, 12.5e6, 0.25, 0.1, 500 * time.Microsecond, 60},
		{"921600 baud", wire.UARTProfile(921600), 92160, 0.125, 0.25, 2 * time.Millisecond, 2400},
	} {
		h, err := newHealing(c.p, c.rate, c.floor, c.share)
		if err != nil {
			return nil, err
		}
		took, window, err := h.outage(c.step)
		if err != nil {
			return nil, err
		}
		note := "1,000 value changes, 100 lines and 100 messages a second; a pass has begun just before the link is " +
			"back, so this is the longest; simulated clock, in the dark steps of 50 ms and nothing sent again"
		if missing, _ := h.missing(); missing > 0 {
			note = fmt.Sprintf("not by then: %d records are missing; %s", missing, note)
		}
		out = append(out, Figure{Name: "an hour's outage heals, " + c.name, Value: took.Seconds(), Unit: "s",
			Budget: c.budget, AtMost: true, Note: note})
		if len(out) == 1 {
			out = append(out, Figure{Name: "window of an hour", Value: float64(window) / (1 << 20), Unit: "MiB",
				Budget: 64, AtMost: true, Note: "of the same load; the budget is the default of [replay] memory"})
		}
	}
	beside, err := besideReplay()
	if err != nil {
		return nil, err
	}
	history, err := historyFigures()
	return append(append(out, beside...), history...), err
}
