package accept

import (
	"fmt"
	"slices"
)

// Our own choices of what a good link is.
const (
	// goodLoss is the share of missing frames up to which a fibre is as good as new: at 1400
	// bytes a frame it is one wrong bit in 10⁸, ten times what IEEE 802.3 asks of the worst.
	goodLoss   = 1e-4
	badLoss    = 1e-2 // more is no longer what parity is there for
	leastCount = 100  // frames without which nothing is known
	slowDelay  = 1.0  // seconds, of one heartbeat in a hundred
)

// Judge returns the findings of a report that has its measurements, and the verdict.
func (r *Report) Judge() {
	r.Findings = slices.Concat(r.judgeFrames(), r.judgeLosses(), r.judgeMachine(), []Finding{r.judgeReverse(),
		r.judgeCarrier()})
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

// judgeFrames says whether what arrives is TX's.
func (r *Report) judgeFrames() (list []Finding) {
	w := &r.Window
	if w.Expected < leastCount {
		list = append(list, Finding{Fail, "frames", fmt.Sprintf("%d frames were to arrive in %.0f s: too few to say "+
			"anything",
			w.Expected, w.Seconds), "run \"heliograph doctor\"; measure for longer"})
	} else {
		list = append(list, Finding{Level: Pass, Subject: "frames", Text: fmt.Sprintf(
			"%d frames were to arrive in %.0f s, %d arrived", w.Expected, w.Seconds, w.Expected-min(w.Missing,
				w.Expected))})
	}
	if w.AuthFailures > 0 {
		list = append(list, Finding{Fail, "authenticity", fmt.Sprintf("%d frames did not open with the pair key",
			w.AuthFailures),
			"find out what else sends on this link; compare the pair keys of both boards (heliograph key show)"})
	}
	if w.Replayed > 0 {
		list = append(list, Finding{Remark, "replay", fmt.Sprintf("%d frames arrived more than once", w.Replayed),
			"look for a switch or a loop between the boards: a cable sends nothing twice"})
	}
	if w.Restarts > 0 {
		list = append(list, Finding{Remark, "restart", fmt.Sprintf("TX was restarted %d times", w.Restarts),
			"look at TX's log, and measure again"})
	}
	return list
}

// judgeLosses says how much is missing, and whether parity repairs it with room to spare.
func (r *Report) judgeLosses() []Finding {
	w, e := &r.Window, &r.Errors
	bad := min(badLoss, r.Limits.Design)
	loss := Finding{Level: Pass, Subject: "loss", Text: fmt.Sprintf("%d of %d frames missing (%s, at most %s with "+
		"95 %%); %d arrived damaged",
		w.Missing, w.Expected, Percent(e.FrameRate), Percent(e.FrameUpper), w.Damaged)}
	clean := "clean the connectors, look at bend radius and power budget, replace converter and cable in turn"
	if r.Medium == "uart" {
		clean = "shorten the wire, join the grounds, check the levels; lower baud on both boards"
	}
	switch {
	case e.FrameRate > bad:
		loss.Level, loss.Do = Fail, clean
	case e.FrameRate > goodLoss:
		loss.Level, loss.Do = Remark, clean
	}
	repair := Finding{Level: Pass, Subject: "repair", Text: fmt.Sprintf("%d frames repaired, none lost beyond repair",
		w.Repaired)}
	if w.Lost > 0 {
		repair = Finding{Fail, "repair", fmt.Sprintf("%d frames lost beyond repair, %d repaired", w.Lost, w.Repaired),
			"cure the loss first; then set " + r.Recommendation.Text}
	}
	return []Finding{loss, repair, r.judgeMargin()}
}

// judgeMargin compares the longest run of missing frames with what parity repairs.
func (r *Report) judgeMargin() Finding {
	run, short := int(largest(r.Window.Bursts)), r.Limits.Short
	f := Finding{Level: Pass, Subject: "margin", Text: fmt.Sprintf("longest run of missing frames: at most %d; at "+
		"full load and %.0f%% "+
		"overhead low latency repairs %d, bulk %d", run, 100*r.Limits.Overhead, short, r.Limits.Long)}
	switch {
	case run == 0:
		f.Text = fmt.Sprintf("no frame is missing; at full load and %.0f%% overhead low latency repairs runs of %d, "+
			"bulk of %d",
			100*r.Limits.Overhead, short, r.Limits.Long)
	case 2*run > short:
		f.Level, f.Do = Remark, "set "+r.Recommendation.Text
	}
	return f
}

// judgeMachine says whether the receiving machine keeps up, and how late things come.
func (r *Report) judgeMachine() (list []Finding) {
	w := &r.Window
	keeps := Finding{Level: Pass, Subject: "receiver", Text: "RX's kernel dropped nothing"}
	if w.Dropped+w.Overruns > 0 {
		keeps = Finding{Remark, "receiver", fmt.Sprintf("RX was too slow: its kernel dropped %d frames (UDP frames "+
			"in a run count once), "+
			"its port lost bytes %d times; that is not the link's loss", w.Dropped, w.Overruns),
			"raise net.core.rmem_max, take load off RX, or lower the rate"}
	}
	p50, p99 := quantile(w.Delay, 0.5), quantile(w.Delay, 0.99)
	late := Finding{Level: Pass, Subject: "delay", Text: fmt.Sprintf("beyond the quickest of %d heartbeats: half "+
		"within %s, 99 %% within "+
		"%s, the longest within %s", total(w.Delay), duration(p50), duration(p99), duration(largest(w.Delay)))}
	if total(w.Delay) == 0 {
		late = Finding{Remark, "delay", "no heartbeat arrived", "look at TX's log"}
	}
	if p99 > slowDelay {
		late.Level, late.Do = Remark, "the line is saturated, or RX too slow: raise rate or baud, or take fewer topics"
	}
	return []Finding{keeps, late}
}

// judgeReverse says whether anything came back.
func (r *Report) judgeReverse() Finding {
	f := Finding{Subject: "reverse probe"}
	p := &r.Reverse
	cut := "this link is not one-way: take it out of service, and find the path back"
	switch {
	case counts(p.After) && sum(p.After) > 0:
		f.Level, f.Do = Fail, cut
		f.Text = fmt.Sprintf("TX's end of the link has received %s since TX started, %s before the probe",
			receipt(p.After), receipt(p.Before))
		if p.After.Interface != nil && r.Medium == "udp" {
			f.Do += "; where TX's interface has other uses, give the link one of its own"
		}
	case p.probes() == 0:
		f.Level, f.Text = NotDone, "nothing was sent towards TX: "+p.Reason
		f.Do = "run this program on RX's machine as root, or send from a PC in place of RX"
		if counts(p.After) {
			f.Text += "; TX has received 0 since it started"
		}
	case !counts(p.After) || !p.Known:
		f.Level = NotDone
		f.Text = fmt.Sprintf("%d probes were sent, and what TX received is not known: %s", p.probes(), p.Reason)
		f.Do = "a board cannot ask its link: count at its end with a PC in its place (tcpdump), and file that"
	case p.Left != nil && *p.Left < uint64(p.probes()):
		f.Level = NotDone
		f.Text = fmt.Sprintf("of %d probes the kernel counts %d as sent: the others never left RX", p.probes(), *p.Left)
		f.Do = "bring RX's interface up with a carrier, and measure again"
	default:
		f.Level = Pass
		f.Text = fmt.Sprintf("%d probes sent by %d means, 0 received at TX", p.probes(), len(p.Sent))
	}
	return f
}

// receipt is what TX received, in words.
func receipt(r *Receipt) string {
	switch {
	case !counts(r):
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
	c := &r.Carrier
	switch {
	case !c.Done:
		return Finding{NotDone, "carrier test", "the fibre was not pulled: " + c.Reason,
			"run without --skip-carrier-test, and pull the fibre at RX for 10 s"}
	case !c.Passed:
		return Finding{Fail, "carrier test", c.Fault, "TX must not notice what its receiver does: force the link up " +
			"at TX " +
			"(autonegotiation, far-end fault and link loss forwarding off), and look at TX's log"}
	}
	return Finding{Level: Pass, Subject: "carrier test", Text: fmt.Sprintf("TX sent %d frames (%.1f a second) in "+
		"%.1f s without light, as with it "+
		"(%.1f to %.1f a second); it was not restarted", c.Frames, c.Rate, c.DarkSeconds, c.Slowest, c.Fastest)}
}

// duration writes seconds for people.
func duration(seconds float64) string {
	if seconds < 1 {
		return fmt.Sprintf("%.3g ms", 1000*seconds)
	}
	return fmt.Sprintf("%.3g s", seconds)
}
