// Package session takes an acceptance through its steps: measure for a while, probe, wait
// for TX's counters, have the fibre pulled.
//
// It refuses to decide: what samples say is package accept's. A step that cannot be done is
// recorded with its reason, and the others are.
package session

import (
	"context"
	"fmt"
	"time"

	"heliograph/tools/accept"
)

// Our own choices.
const (
	interval   = time.Second      // between two samples
	mostKept   = 3600             // samples of a measurement
	mostSilent = 15 * time.Second // of a status port that has answered before
	// readingTime is how long TX's counters may take to cross, twice.
	readingTime = time.Minute
	pullTime    = 3 * time.Minute // until the fibre is out
	returnTime  = 5 * time.Minute // until it is back
	freshBeat   = 2.0             // seconds: the age of a heartbeat with light
)

// Config is what an acceptance is made of.
type Config struct {
	Tool   string // version of this program
	Get    func(context.Context) ([]byte, error)
	Length time.Duration
	// Probe sends the reverse probes; nil: it is not to be done, because of NoProbe.
	Probe   func(context.Context) accept.Reverse
	NoProbe string
	// NoCarrier is why the carrier test is not to be done; "": it is.
	NoCarrier string
	// Say tells the user what happens, or what to do.
	Say func(string)
	// Progress is called after each sample of the measurement with the share that is done.
	Progress func(done float64)
}

// session is an acceptance under way.
type session struct {
	Config
	samples []accept.Sample // of the measurement
}

// Run does all steps, and returns the report.
func Run(ctx context.Context, c Config) (*accept.Report, error) {
	s := &session{Config: c}
	if err := s.measure(ctx); err != nil {
		return nil, err
	}
	reverse, err := s.reverse(ctx)
	if err != nil {
		return nil, err
	}
	carrier, err := s.carrier(ctx)
	if err != nil {
		return nil, err
	}
	return accept.New(c.Tool, s.samples, reverse, carrier)
}

// sample asks for one. A status port that does not answer is asked again for a while, once
// it has answered.
func (s *session) sample(ctx context.Context) (accept.Sample, error) {
	for until := time.Now().Add(mostSilent); ; {
		body, err := s.Get(ctx)
		if err == nil {
			return accept.ParseSample(time.Now(), body)
		}
		if len(s.samples) == 0 || time.Now().After(until) || ctx.Err() != nil {
			return accept.Sample{}, err
		}
		if err := sleep(ctx, interval); err != nil {
			return accept.Sample{}, err
		}
	}
}

// measure takes samples for the length of the measurement.
func (s *session) measure(ctx context.Context) error {
	first, err := s.sample(ctx)
	if err != nil {
		return err
	}
	s.samples = append(s.samples, first)
	s.Say(fmt.Sprintf("measuring the link of %s for %s", first.Pair, s.Length))
	step := max(interval, s.Length/mostKept)
	for begin := time.Now(); time.Since(begin) < s.Length; {
		if err := sleep(ctx, min(step, s.Length-time.Since(begin))); err != nil {
			return err
		}
		next, err := s.sample(ctx)
		if err != nil {
			return err
		}
		if _, err := accept.Between(&s.samples[len(s.samples)-1], &next); err != nil {
			return err
		}
		s.samples = append(s.samples, next)
		s.Progress(min(1, time.Since(begin).Seconds()/s.Length.Seconds()))
	}
	return nil
}

// reverse sends the probes, and waits for what TX has counted after the last one.
func (s *session) reverse(ctx context.Context) (accept.Reverse, error) {
	before := &s.samples[len(s.samples)-1]
	r := accept.Reverse{Reason: s.NoProbe}
	if s.Probe != nil {
		s.Say("sending probes towards TX")
		r = s.Probe(ctx)
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
	r.Before = before.TX.Received
	sent, err := s.sample(ctx)
	if err != nil {
		return r, err
	}
	now := sent
	if sent.TX.Received == nil {
		r.Reason = add(r.Reason, "TX does not report what its end of the link receives: a board's role may not ask")
		return r, nil
	}
	s.Say("waiting for what TX has counted to cross")
	for until := time.Now().Add(readingTime); !accept.Newer(&sent, &now) && time.Now().Before(until); {
		if err := sleep(ctx, interval); err != nil {
			return r, err
		}
		if now, err = s.sample(ctx); err != nil {
			return r, err
		}
	}
	r.After, r.Known = now.TX.Received, accept.Newer(&sent, &now)
	if !r.Known {
		r.Reason = add(r.Reason, fmt.Sprintf("TX's counters did not cross within %s", readingTime))
	}
	return r, nil
}

// carrier has the user pull the fibre, and compares what TX sent meanwhile.
func (s *session) carrier(ctx context.Context) (accept.Carrier, error) {
	if s.NoCarrier != "" {
		return accept.Carrier{Reason: s.NoCarrier}, nil
	}
	s.Say("carrier test: pull the fibre (or the wire) out of RX now")
	dark, err := s.collect(ctx, nil, pullTime, accept.IsDark)
	if err != nil || !accept.IsDark(dark) {
		return accept.Carrier{Reason: fmt.Sprintf("frames arrived without a pause for %s", pullTime)}, err
	}
	s.Say("it is dark: put it back after 10 s")
	lit := func(list []accept.Sample) bool {
		_, after, found := accept.Dark(list)
		return found && after < len(list) && fresh(&list[len(list)-1])
	}
	if dark, err = s.collect(ctx, dark, returnTime, lit); err != nil {
		return accept.Carrier{}, err
	}
	before, _, found := accept.Dark(dark)
	if !found || !fresh(&dark[len(dark)-1]) {
		return accept.Carrier{Reason: fmt.Sprintf("no frame arrived again within %s", returnTime)}, nil
	}
	s.Say("frames arrive again")
	return accept.JudgeCarrier(s.samples, &dark[before], &dark[len(dark)-1]), nil
}

// fresh says whether a heartbeat has just arrived.
func fresh(s *accept.Sample) bool {
	age := s.Link.LastHeartbeatAgeSeconds
	return age != nil && *age < freshBeat
}

// collect adds samples to a list until it is as wanted, or the time is over.
func (s *session) collect(ctx context.Context, list []accept.Sample, within time.Duration,
	enough func([]accept.Sample) bool) ([]accept.Sample, error) {
	for until := time.Now().Add(within); time.Now().Before(until); {
		next, err := s.sample(ctx)
		if err != nil {
			return list, err
		}
		if list = append(list, next); enough(list) {
			break
		}
		if err := sleep(ctx, interval); err != nil {
			return list, err
		}
	}
	return list, nil
}

// add joins two reasons.
func add(reason, more string) string {
	if reason == "" {
		return more
	}
	return reason + "; " + more
}

// sleep waits; it returns ctx's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
