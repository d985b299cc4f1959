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

	"heliograph/firmware/platform/machine"
	"heliograph/tools/accept"
)

// Our own choices.
const (
	interval   = time.Second      // between two samples
	mostKept   = 3600             // samples of a measurement
	mostSilent = 15 * time.Second // of a status port that has answered before
	// readingTime is how long TX's counters may take to cross, twice.
	readingTime = time.Minute
	probeTime   = 2 * time.Minute // until a board has sent its probes
	pullTime    = 2 * time.Minute // until the fibre is out
	outTime     = 10 * time.Second
	lateTime    = time.Minute      // without a frame, before what may be wrong is said
	returnTime  = 3 * time.Minute  // until it is back
	startTime   = 20 * time.Second // for the first frame of TX
	freshBeat   = 2.0              // seconds: the age of a heartbeat with light
)

// Config is what an acceptance is made of.
type Config struct {
	Tool   string // version of this program
	Get    func(context.Context) ([]byte, error)
	Length time.Duration
	// Statement asks RX for what it measures, signed, with a nonce. Its errors may be NoStatement
	// or Busy. Challenge is random, and what nonces are made of.
	Statement func(ctx context.Context, nonce string) ([]byte, error)
	Challenge [16]byte
	// Probe sends the reverse probes; nil: NoProbe says why it is not to be done. Without a
	// reason there the user is asked to have RX's board send them, at its console.
	Probe   func(context.Context) accept.Reverse
	NoProbe accept.Reverse
	// OneMachine says that both ends of the link are known to be on one machine; RX may say so too.
	OneMachine bool
	// NoCarrier is why the carrier test is not to be done; "": it is.
	NoCarrier string
	// Say tells the user what happens, or what to do.
	Say func(string)
	// Progress is called after each sample of the measurement with the share that is done, and
	// with 1 at the end, however that came.
	Progress func(done float64)
	// Wait is called about each second while the user has something to do, with the time left.
	Wait func(what string, left time.Duration)
}

// session is an acceptance under way.
type session struct {
	Config
	samples []accept.Sample // of the measurement
	signing signing
}

// Run does all steps, and returns the report.
func Run(ctx context.Context, c Config) (*accept.Report, error) {
	s := &session{Config: c}
	defer s.Progress(1)
	if err := s.measure(ctx); err != nil {
		return nil, err
	}
	reverse, err := s.reverse(ctx)
	if err != nil {
		return nil, err
	}
	carrier, err := s.carrier(ctx)
	switch {
	case ctx.Err() != nil:
		carrier = accept.Carrier{Reason: "it was interrupted"}
	case err != nil:
		carrier = accept.Carrier{Reason: err.Error()}
	}
	r, err := accept.New(c.Tool, s.samples, reverse, carrier)
	if err == nil {
		r.Unsigned = s.signing.refusal
	}
	return r, err
}

// sample asks for one. A status port that does not answer is asked again for a while, once
// it has answered.
func (s *session) sample(ctx context.Context) (accept.Sample, error) {
	for until := time.Now().Add(mostSilent); ; {
		body, err := s.Get(ctx)
		if err == nil {
			return s.placed(accept.ParseSample(time.Now(), body))
		}
		if len(s.samples) == 0 || time.Now().After(until) || ctx.Err() != nil {
			return accept.Sample{}, err
		}
		if err := sleep(ctx, interval); err != nil {
			return accept.Sample{}, err
		}
	}
}

// live waits for a frame of TX, and returns a sample with it: a silent link is not measured.
func (s *session) live(ctx context.Context) (accept.Sample, error) {
	first, err := s.sample(ctx)
	if err != nil || fresh(&first) {
		return first, err
	}
	s.Say("waiting for a frame of TX")
	now := first
	for until := time.Now().Add(startTime); time.Now().Before(until); {
		if err := sleep(ctx, interval); err != nil {
			return now, err
		}
		if now, err = s.sample(ctx); err != nil {
			return now, err
		}
		if fresh(&now) || now.Link.Frames > first.Link.Frames {
			return now, nil
		}
	}
	before, after := first.Link.AuthFailures, now.Link.AuthFailures
	if before != nil && after != nil && *after > *before {
		return now, fmt.Errorf("no frame in %.0f s opened with the pair key, others arrive: compare both sides' keys "+
			"(heliograph key show)", startTime.Seconds())
	}
	return now, fmt.Errorf("no frame of TX arrived in %.0f s, and there is nothing to measure: start heliotx and "+
		"connect the link; \"heliograph doctor\" on either side says what is wrong", startTime.Seconds())
}

// measure takes samples for the length of the measurement.
func (s *session) measure(ctx context.Context) error {
	first, err := s.live(ctx)
	if err != nil {
		return err
	}
	if first, err = s.appoint(ctx, first); err != nil {
		return err
	}
	s.samples = append(s.samples, first)
	s.OneMachine = s.OneMachine || first.Link.Loopback
	s.Say(fmt.Sprintf("measuring the link of %s for %s", first.Pair, s.Length))
	step := max(interval, s.Length/mostKept)
	for begin := time.Now(); time.Since(begin) < s.Length || s.unsigned(); {
		if err := sleep(ctx, min(step, s.Length-time.Since(begin))); err != nil {
			return err
		}
		next, err := s.next(ctx, s.Length-time.Since(begin))
		if err != nil {
			return err
		}
		if _, err := accept.Between(&s.samples[len(s.samples)-1], &next); err != nil {
			return err
		}
		s.samples = append(s.samples, next)
		s.Progress(min(1, time.Since(begin).Seconds()/s.Length.Seconds()))
	}
	return s.enough()
}

// send has the probes sent.
func (s *session) send(ctx context.Context, before *accept.Sample) (accept.Reverse, error) {
	switch {
	case s.Probe != nil:
		s.Say("sending probes towards TX")
		r := s.Probe(ctx)
		return r, ctx.Err()
	case s.NoProbe.Reason != "":
		return s.NoProbe, nil
	case before.Probe == nil:
		return accept.Reverse{Reason: "RX is another machine, and not a board at whose console they could be sent"}, nil
	}
	return s.atConsole(ctx, before.Probe)
}

// atConsole asks the user to have RX's board send the probes, and waits for them.
func (s *session) atConsole(ctx context.Context, last *machine.Probe) (accept.Reverse, error) {
	s.Say(fmt.Sprintf("reverse probe: press %s at the console of RX's board (heliograph console), and type yes, "+
		"within %.0f s; --probes 0 leaves this test out", last.Key, probeTime.Seconds()))
	sent := func(list []accept.Sample) bool {
		p := list[len(list)-1].Probe
		return p != nil && !p.Time.IsZero() && !p.Time.Equal(last.Time)
	}
	list, err := s.collect(ctx, nil, probeTime, sent, func(gone time.Duration) {
		s.Wait(fmt.Sprintf("press %s at RX's console", last.Key), probeTime-gone)
	})
	switch {
	case ctx.Err() != nil:
		return accept.Reverse{}, err
	case err != nil:
		return accept.Reverse{Reason: err.Error(), Cure: "measure again"}, nil
	case !sent(list):
		return accept.Reverse{Reason: fmt.Sprintf("key %s was not pressed at RX's console within %.0f s", last.Key,
			probeTime.Seconds()), Cure: "measure again, and press it; it is asked for after the measurement"}, nil
	}
	if p := list[len(list)-1].Probe; p.Total() == 0 {
		return accept.Reverse{Reason: p.Reason,
			Cure: "cure that at RX's board (key f of its console), and measure again"}, nil
	}
	return accept.Reverse{}, nil // what was sent Counted puts in
}

// reverse sends the probes, and waits for what TX has counted after the last one.
func (s *session) reverse(ctx context.Context) (accept.Reverse, error) {
	before := &s.samples[len(s.samples)-1]
	r, err := s.send(ctx, before)
	if err != nil {
		return r, err
	}
	r.OneMachine = r.OneMachine || s.OneMachine
	sent, err := s.witnessed(ctx)
	if err != nil {
		return r, err
	}
	now := sent
	r.Counted(before, &sent, &now)
	if sent.TX.Received == nil {
		r.Reason = add(r.Reason, "TX does not report what its end of the link receives")
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
	if now, err = s.asWitnessed(ctx, now); err != nil {
		return r, err
	}
	r.Counted(before, &sent, &now)
	switch {
	case now.Link.Epoch != before.Link.Epoch:
		r.Reason = add(r.Reason, "TX was restarted after the measurement, and has counted from 0 since; measure again")
	case !r.Known:
		r.Reason = add(r.Reason, fmt.Sprintf("TX's counters did not cross within %s", readingTime))
	}
	return r, nil
}

// carrier has the user pull the fibre, and compares what TX sent meanwhile.
func (s *session) carrier(ctx context.Context) (accept.Carrier, error) {
	switch {
	case s.NoCarrier != "":
		return accept.Carrier{Reason: s.NoCarrier}, nil
	case s.OneMachine:
		return accept.Carrier{Reason: "both ends are on one machine, without a fibre between them"}, nil
	}
	s.Say(fmt.Sprintf("carrier test: pull the fibre (or the wire) out of RX within %.0f s; --skip-carrier-test or "+
		"Ctrl-C leaves this test out", pullTime.Seconds()))
	dark, err := s.collect(ctx, nil, pullTime, accept.IsDark, func(gone time.Duration) {
		s.Wait("pull the fibre", pullTime-gone)
	})
	if err != nil || !accept.IsDark(dark) {
		return accept.Carrier{Reason: fmt.Sprintf("frames arrived without a pause for %.0f s",
			pullTime.Seconds())}, err
	}
	s.Say(fmt.Sprintf("it is dark: leave the fibre out for %.0f s", outTime.Seconds()))
	lit := func(list []accept.Sample) bool {
		_, after, found := accept.Dark(list)
		return found && after < len(list) && fresh(&list[len(list)-1])
	}
	if dark, err = s.collect(ctx, dark, returnTime, lit, s.untilBack()); err != nil {
		return accept.Carrier{}, err
	}
	before, _, found := accept.Dark(dark)
	if !found || !fresh(&dark[len(dark)-1]) {
		return accept.Carrier{Reason: fmt.Sprintf("no frame arrived again within %.0f s: it was not put back, or TX "+
			"is off", returnTime.Seconds())}, nil
	}
	s.Say("frames arrive again")
	return accept.JudgeCarrier(s.samples, &dark[before], &dark[len(dark)-1]), nil
}

// untilBack tells the user when to put the fibre back, and why no frame may arrive then.
func (s *session) untilBack() func(gone time.Duration) {
	asked, warned := false, false
	return func(gone time.Duration) {
		switch {
		case gone < outTime:
			s.Wait("put it back in", outTime-gone)
			return
		case !asked:
			asked = true
			s.Say("put it back now")
		case gone >= lateTime && !warned:
			warned = true
			s.Say(fmt.Sprintf("no frame for %.0f s: the fibre is not put back, or TX is off", gone.Seconds()))
		}
		s.Wait("waiting for a frame", returnTime-gone)
	}
}

// fresh says whether a heartbeat has just arrived.
func fresh(s *accept.Sample) bool {
	age := s.Link.LastHeartbeatAgeSeconds
	return age != nil && *age < freshBeat
}

// collect adds samples of one run of heliorx to a list until it is as wanted, or the time is over; tell is
// called with the time that is gone.
func (s *session) collect(ctx context.Context, list []accept.Sample, within time.Duration,
	enough func([]accept.Sample) bool, tell func(gone time.Duration)) ([]accept.Sample, error) {
	for begin := time.Now(); time.Since(begin) < within; {
		tell(time.Since(begin))
		next, err := s.witnessed(ctx)
		if err != nil {
			return list, err
		}
		if len(list) > 0 {
			if _, err := accept.Between(&list[len(list)-1], &next); err != nil {
				return list, err
			}
		}
		if list = append(list, next); enough(list) {
			break
		}
		if err := sleep(ctx, s.pace()); err != nil {
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
