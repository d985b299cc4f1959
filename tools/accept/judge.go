package accept

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Our own choices of what a good link is.
const (
	// goodLoss is the share of missing frames up to which a fibre is as good as new: at 1400
	// bytes a frame it is one wrong bit in 10⁸, ten times what IEEE 802.3 asks of the worst.
	goodLoss   = 1e-4
	badLoss    = 1e-2 // more is no longer what parity is there for
	leastCount = 100  // frames without which nothing is known
	// leastMissing is how many of fewer frames show a loss by themselves
	leastMissing = 5
	mostApart    = 5 * time.Minute // of RX's clock and this computer's
	slowDelay    = 1.0             // seconds, of one heartbeat in a hundred
	mostSilent   = 10.0            // seconds without a frame, of heartbeats each second
)

// What to do about more than one finding.
const (
	measureLonger = "measure for longer"
	onTwoMachines = "measure the link itself, with TX and RX on two machines"
)

// Judge returns the findings of a report that has its measurements, and the verdict.
func (r *Report) Judge() {
	r.Findings = slices.Concat(r.judgeFrames(), r.judgeLosses(), r.judgeMachine(), []Finding{r.judgeReverse(),
		r.judgeCarrier()}, r.judgeSigned())
	r.Verdict = VerdictPass
	for _, f := range r.Findings {
		switch {
		case f.Level == Fail:
			r.Verdict = VerdictFail
		case f.Level != Pass && r.Verdict == VerdictPass:
			r.Verdict = VerdictRemarks
		}
	}
}

// passed is a finding that is as it should be.
func passed(subject, format string, args ...any) Finding {
	return Finding{Level: Pass, Subject: subject, Text: fmt.Sprintf(format, args...)}
}

// found is a finding that something is to be done about.
func found(level Level, subject, do, format string, args ...any) Finding {
	return Finding{level, subject, fmt.Sprintf(format, args...), do}
}

// judgeFrames says whether what arrives is TX's.
func (r *Report) judgeFrames() (list []Finding) {
	w := &r.Window
	list = []Finding{passed("frames", "%d frames were to arrive in %.0f s, %d arrived", w.Expected, w.Seconds,
		w.Expected-min(w.Missing, w.Expected))}
	if w.Expected < leastCount {
		list = []Finding{found(Fail, "frames", "run \"heliograph doctor\"; measure for longer",
			"%d frames were to arrive in %.0f s: too few to say anything", w.Expected, w.Seconds)}
	}
	if w.Silent >= mostSilent {
		list = append(list, found(Fail, "silence", "look whether TX was off or the link was out (heliograph doctor); "+
			"measure again", "no frame arrived for %.0f s", w.Silent))
	}
	if w.AuthFailures > 0 {
		list = append(list, found(Fail, "authenticity",
			"find out what else sends on this link; compare the pair keys of both boards (heliograph key show)",
			"%d frames did not open with the pair key", w.AuthFailures))
	}
	if w.Replayed > 0 {
		list = append(list, found(Remark, "replay",
			"look for a switch or a loop between the boards: a cable sends nothing twice",
			"%d frames arrived more than once", w.Replayed))
	}
	if w.Restarts > 0 {
		list = append(list, found(Remark, "restart", "look at TX's log, and measure again",
			"TX was restarted %d times", w.Restarts))
	}
	return list
}

// judgeLosses says how much is missing, and whether parity repairs it with room to spare.
func (r *Report) judgeLosses() []Finding {
	w, e := &r.Window, &r.Errors
	loss := passed("loss", "%d of %d frames missing (%s, at most %s with 95 %%); %d arrived damaged",
		w.Missing, w.Expected, Percent(e.FrameRate), Percent(e.FrameUpper), w.Damaged)
	clean := "clean the connectors, look at bend radius and power budget, replace converter and cable in turn"
	if r.Medium == "uart" {
		clean = "shorten the wire, join the grounds, check the levels; lower baud on both boards"
	}
	switch {
	case e.FrameRate > min(badLoss, r.Limits.Design):
		loss.Level, loss.Do = Fail, clean
	case e.FrameRate > goodLoss:
		loss.Level, loss.Do = Remark, clean
	}
	if w.tooShort() && loss.Level != Fail {
		loss.Level, loss.Do = NotDone, measureLonger
	}
	repair := passed("repair", "%d frames repaired, none lost beyond repair", w.Repaired)
	if w.Lost > 0 {
		repair = found(Fail, "repair", "cure the loss first; then "+r.advice(),
			"%d frames lost beyond repair, %d repaired", w.Lost, w.Repaired)
	}
	if w.tooShort() && repair.Level == Pass {
		return []Finding{loss}
	}
	return []Finding{loss, repair, r.judgeMargin()}
}

// advice is the recommendation, where enough frames were seen for one.
func (r *Report) advice() string {
	if r.Window.tooShort() {
		return measureLonger
	}
	return "set " + r.Recommendation.Text
}

// judgeMargin compares the longest run of missing frames with what parity repairs.
func (r *Report) judgeMargin() Finding {
	run, l := int(largest(r.Window.Bursts)), &r.Limits
	seen := "no frame is missing"
	if run > 0 {
		seen = fmt.Sprintf("runs of at most %d frames are missing", run)
	}
	f := passed("margin", "%s; at full load and %.0f%% overhead low latency repairs runs of %d, bulk of %d", seen,
		100*l.Overhead, l.Short, l.Long)
	if 2*run > l.Short {
		f.Level, f.Do = Remark, r.advice()
	}
	return f
}

// judgeMachine says whether the receiving machine keeps up, and how late things come.
func (r *Report) judgeMachine() (list []Finding) {
	w := &r.Window
	keeps := passed("receiver", "RX's kernel dropped nothing")
	if w.Dropped+w.Overruns > 0 {
		keeps = found(Remark, "receiver", "raise net.core.rmem_max, take load off RX, or lower the rate",
			"RX was too slow: its kernel dropped %d frames (UDP frames in a run count once), its port lost bytes "+
				"%d times; that is not the link's loss", w.Dropped, w.Overruns)
	}
	p50, p99 := quantile(w.Delay, 0.5), quantile(w.Delay, 0.99)
	late := passed("delay", "beyond the quickest of %d heartbeats: half within %s, 99 %% within %s, all within %s",
		total(w.Delay), duration(p50), duration(p99), duration(largest(w.Delay)))
	switch {
	case total(w.Delay) == 0:
		late = found(Remark, "delay", "look at TX's log", "no heartbeat arrived")
	case p99 > slowDelay:
		late.Level = Remark
		late.Do = "the line is saturated, or RX too slow: raise rate or baud, or take fewer topics"
	}
	return []Finding{keeps, late}
}

// judgeReverse says whether anything came back.
func (r *Report) judgeReverse() Finding {
	const subject = "reverse probe"
	p := &r.Reverse
	switch {
	case r.cameBack() && r.looped:
		return found(NotDone, subject, onTwoMachines,
			"both ends are on one machine, whose kernel carries both ways: TX's end has received %s since TX started",
			receipt(p.After))
	case r.cameBack():
		do := "this link is not one-way: take it out of service, and find the path back"
		if p.OneMachine {
			do += "; if both ends are on one machine, of which RX signed nothing, " + onTwoMachines
		}
		return found(Fail, subject, do,
			"TX's end of the link has received %s since TX started, %s before the probe", receipt(p.After),
			receipt(p.Before))
	case p.probes() == 0:
		none := ""
		if p.After.Counts() && p.After.Total() == 0 {
			none = "; TX has received 0 since it started"
		}
		do := cmp.Or(p.Cure, "run this program on RX's machine as root, or send from a PC in place of RX")
		if p.OneMachine {
			do = onTwoMachines
		}
		return found(NotDone, subject, do, "nothing was sent towards TX: %s%s", p.unsent(), none)
	case !p.After.Counts() || !p.Known:
		return found(NotDone, subject, "look at TX's log and version (older boards do not count); or count with a PC "+
			"in place of TX, and file that",
			"%d probes were sent, and what TX received is not known: %s", p.probes(), p.Reason)
	case p.Left != nil && *p.Left < uint64(p.probes()):
		return found(NotDone, subject, "bring RX's interface up with a carrier, and measure again",
			"of %d probes the kernel counts %d as sent: the others never left RX", p.probes(), *p.Left)
	}
	if n := known(p.After.Interface); n > 0 {
		return found(Remark, subject, "look with tcpdump at TX for what sends there, or give the link an interface "+
			"where "+
			"nothing else does", "%d probes sent by %d means, 0 received at TX's socket; its interface has received "+
			"%d "+
			"packets, %d meanwhile, too few for any means", p.probes(), len(p.Sent), n, p.After.Packets(p.Before))
	}
	if p.Limit != "" {
		return found(Remark, subject, "measure again if it was cut short; where no wire carries probes, look that "+
			"none is there (boards/wiring.md)", "%d probes sent by %d means, 0 received at TX: %s", p.probes(),
			len(p.Sent), p.Limit)
	}
	return passed(subject, "%d probes sent by %d means, 0 received at TX", p.probes(), len(p.Sent))
}

// cameBack reports whether TX's end has received anything from RX.
func (r *Report) cameBack() bool {
	var sent []int
	for _, m := range r.Reverse.Sent {
		sent = append(sent, m.Count)
	}
	return r.Reverse.After.CameBack(r.Medium == "udp", r.Reverse.Before, sent)
}

// receipt is what TX received, in words.
func receipt(r *Receipt) string {
	switch {
	case !r.Counts():
		return "an unknown number"
	case r.Line != nil:
		return fmt.Sprintf("%d bytes", *r.Line)
	case r.Interface == nil:
		return fmt.Sprintf("%d datagrams", known(r.Socket))
	case r.Socket != nil:
		return fmt.Sprintf("%d packets, %d of them at its socket", *r.Interface, *r.Socket)
	}
	return fmt.Sprintf("%d packets", *r.Interface)
}

// judgeCarrier says whether TX went on without light.
func (r *Report) judgeCarrier() Finding {
	const subject = "carrier test"
	c := &r.Carrier
	switch {
	case !c.Done:
		do := "run without --skip-carrier-test, pull the fibre at RX for 10 s, and put it back"
		if r.Reverse.OneMachine {
			do = onTwoMachines
		}
		return found(NotDone, subject, do, "whether TX goes on without light was not seen: %s", c.Reason)
	case !c.Passed:
		return found(Fail, subject, "TX must not notice what its receiver does: force the link up at TX "+
			"(autonegotiation, far-end fault and link loss forwarding off), and look at TX's log", "%s", c.Fault)
	}
	return passed(subject, "TX sent %d frames (%.1f a second) in %.1f s without light, as with it (%.1f to %.1f a "+
		"second); it was not restarted", c.Frames, c.Rate, c.DarkSeconds, c.Slowest, c.Fastest)
}

// judgeSigned says who has signed the measurement.
func (r *Report) judgeSigned() (list []Finding) {
	e := r.Evidence
	if e == nil {
		return nil
	}
	list = []Finding{passed("signature", "measured and signed by RX, %d statements by the key of certificate %s",
		e.Statements(), e.Thumbprint())}
	if apart := r.From.Sub(r.ReceiverClock); apart.Abs() > mostApart {
		list = append(list, found(Remark, "clock", "set the clock that is wrong: [time] of RX, or this computer's",
			"RX has signed that it was %s, and by this computer it was %s", r.ReceiverClock.UTC().Format(time.DateTime),
			r.From.UTC().Format(time.DateTime)))
	}
	return list
}

// duration writes seconds for people.
func duration(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3g ms", 1000*seconds)
	}
	return fmt.Sprintf("%.3g s", seconds)
}
