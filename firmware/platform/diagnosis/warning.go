package diagnosis

import (
	"fmt"
	"strings"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

// disk names a disk that is full, or nearly.
func (s Site) disk(l *List, snap *status.Snapshot) {
	if d := snap.Disk; d != nil && d.Fault != "" {
		l.Add(Finding{Warning, "disk-full", "state", d.Fault, s.space()})
	}
}

// state names a disk that does not keep the state.
func (s Site) state(words string, why cause.Cause) Finding {
	switch why.Code {
	case cause.DiskFull:
		return Finding{Fault, string(why.Code), "state", words, s.space()}
	case cause.StateUnwritable:
		return Finding{Fault, string(why.Code), "state", words, s.writable()}
	}
	return Finding{Fault, "not-kept", "state", words, s.log()} // the report was too long for the cause
}

func (s Site) space() string {
	return s.pick("free space there, or set directory in [state] of CONFIG to a larger disk",
		"lower spool, history_size or [replay] disk, or use a larger card")
}

func (s Site) writable() string {
	return s.pick("give the folder to the user of helioROLE: chown -R, or set directory in [state] of CONFIG",
		"write the card again, or replace it: key t tests it")
}

// refusals names records that a peer did not take at some time since the start.
func (s Site) refusals(l *List, snap *status.Snapshot) {
	for _, set := range snap.Counters {
		if set.Part != "mqtt_sink" {
			continue
		}
		if n := snap.Counted(set.Part, set.Channel, notAuthorized); n > 0 {
			f := s.access(set.Channel, fmt.Sprintf("%d since the start", n))
			f.Level = Warning
			l.Add(f)
		}
	}
}

// certificates names those that end soon.
func (s Site) certificates(l *List, snap *status.Snapshot, now time.Time) {
	for _, c := range snap.Certificates {
		if c.Expires.Sub(now) < nearExpiry {
			l.Add(s.Expiry(c.Name, c.Board, c.Expires, now))
		}
	}
}

// Expiry is the finding of a certificate that has ended, or ends soon.
func (s Site) Expiry(name, board string, end, now time.Time) Finding {
	verb := "ends on "
	if end.Before(now) {
		verb = "ended on "
	}
	f := Finding{Warning, "certificate-expiry", "certificate " + name + " of " + strings.ToUpper(board),
		verb + end.UTC().Format(time.DateOnly), "renew it, and trust the new one where the old one was"}
	if name == "opcua own" && board == s.Role {
		f.Cure = s.pick("heliograph cert new --config CONFIG, then trust the new one at each peer",
			"make the pair's cards again with \"heliograph flash --pair\", or cert new on the card in a reader")
	}
	return f
}

// reasons adds why the role is not ready, as far as no fact says it.
func (s Site) reasons(l *List, snap *status.Snapshot) {
	for _, r := range snap.NotReady {
		where, covered := place(snap, r)
		if covered || r.Why.Code == cause.Incomplete && (l.names(where) || l.names("link")) {
			continue
		}
		f := Finding{Warning, "not-ready", where, r.Cause, s.log()}
		switch r.Why.Code {
		case cause.DiskFull, cause.StateUnwritable:
			if l.names("state") { // by the fact of all that is not kept
				continue
			}
			f = s.state(r.Cause, r.Why)
			f.Level = Warning
		case cause.PortInUse:
			f.Code, f.Cure = "port-in-use", "end the other program, or choose another port for listen"
		case cause.PortPermission:
			f.Code, f.Cure = "port-permission", "choose a port above 1023 for listen"
		case cause.Address:
			f.Code, f.Cure = "address", "choose an address of this machine, or 0.0.0.0, for listen"
		}
		l.Add(f)
	}
}

// place returns where a reason belongs, and whether a fact covers it.
func place(snap *status.Snapshot, r task.Reason) (where string, covered bool) {
	if strings.HasPrefix(r.Part, "channel ") || r.Part == "link" || r.Why.Code == cause.EpochRegressed {
		return r.Part, true
	}
	for _, p := range snap.Peers {
		if p.Name == r.Part && p.Channel != "" {
			return "channel " + p.Channel, p.State != "up"
		}
	}
	for name, c := range snap.Channels {
		if c.Protocol+" source "+name == r.Part {
			return "channel " + name, c.SourceState != "up"
		}
	}
	return r.Part, false
}
