package opcua

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/tx/source"
)

// sourceStats counts what crosses otherwise than the server has it, or does not cross.
type sourceStats struct {
	LostNotifications atomic.Uint64 `count:"lost_notifications" help:"Notifications lost at the server."`
	UnreadableValues  atomic.Uint64 `count:"unreadable_values" help:"Notified values not decodable."`
	SkippedValues     atomic.Uint64 `count:"skipped_values" help:"Values with the overflow bit set."`
	RereadValues      atomic.Uint64 `count:"reread_values" help:"Values read after a loss."`
	DeadItems         atomic.Uint64 `count:"dead_items" help:"Items that stopped reporting."`
	RefusedValues     atomic.Uint64 `count:"refused_values" help:"Values refused by the link."`
	EventOverflows    atomic.Uint64 `count:"event_queue_overflows" help:"Times that the server dropped events because its queue was full."`
	UnreadableEvents  atomic.Uint64 `count:"unreadable_events" help:"Events not decodable."`
	ReducedEvents     atomic.Uint64 `count:"reduced_events" help:"Events without large fields."`
	RefusedEvents     atomic.Uint64 `count:"refused_events" help:"Events refused by the link."`
	RefusedBlocks     atomic.Uint64 `count:"refused_blocks" help:"Blocks refused by the link."`
	PolledItems       atomic.Uint64 `count:"polled_items" help:"Variables that are polled."`
	FailedBrowses     atomic.Uint64 `count:"failed_browses" help:"Nodes not browsed."`
	CutBrowses        atomic.Uint64 `count:"cut_browses" help:"Browses that ended at a bound."`
	HistoryRecords    atomic.Uint64 `count:"history_records" help:"Missed values read from the server's history."`
	HistoryRefused    atomic.Uint64 `count:"history_refused" help:"Nodes whose history was refused."`
	HistoryGivenUp    atomic.Uint64 `count:"history_given_up" help:"Missed intervals that history did not fill."`
	Sessions          atomic.Uint64 `count:"sessions" help:"Sessions made with the server."`
}

// Counters implements counter.Source.
func (s *Source) Counters() []counter.Set {
	return []counter.Set{counter.Of("opcua_source", s.cfg.Channel, &s.stats)}
}

// topic is what a trouble that lasts is about.
type topic string

const (
	refusedValues topic = "values that the link does not carry"
	refusedBlocks topic = "nodes that the link does not carry"
	noEvents      topic = "events"
	cutBrowse     topic = "browsing"
)

// setTrouble sets what is wrong about a topic, "" for nothing. It shows in /readyz, and
// in the channel's reason on both sides.
func (s *Source) setTrouble(t topic, trouble string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.troubles[t] == trouble {
		return
	}
	if trouble == "" {
		delete(s.troubles, t)
	} else {
		s.troubles[t] = trouble
	}
	s.reportAgain()
}

// The subjects of notices, in the order in which they are reported.
const (
	certificateNotice = iota
	historyNotice
	subjects
)

// notice sets a warning about a session that works, "" for none. It shows in the
// channel's reason on both sides, and not in /readyz.
func (s *Source) notice(subject int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notices[subject] != text {
		s.notices[subject] = text
		s.reportAgain()
	}
}

// reportAgain reports a reason that has changed within the state Up. It is called with mu
// held.
func (s *Source) reportAgain() {
	if s.state == source.Up {
		s.why = s.upReason()
		s.port.Report(s.state, s.why)
	}
}

// upReason is the reason while the session lasts, troubles first: the link carries only
// the beginning of a long one. It is called with mu held.
func (s *Source) upReason() string {
	why := s.troubleList()
	for _, n := range s.notices {
		switch {
		case n == "":
		case why == "":
			why = "connected; " + n
		default:
			why += "; " + n
		}
	}
	return why
}

// overlooked describes what is wrong with a certificate that is accepted, and which key
// of the configuration accepts it.
func overlooked(list []pki.Overlooked) string {
	var facts, keys []string
	for _, o := range list {
		facts = append(facts, o.Fact)
		key := `"dates"`
		if o.Code == ua.StatusBadCertificateHostNameInvalid {
			key = `"host_name"`
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if len(facts) == 0 {
		return ""
	}
	return fmt.Sprintf("server certificate %s, accepted by tolerate = [%s]", strings.Join(facts, " and "),
		strings.Join(keys, ", "))
}

// troubleList joins what is wrong while the session lasts. It is called with mu held.
func (s *Source) troubleList() string {
	var all []string
	for _, t := range slices.Sorted(maps.Keys(s.troubles)) {
		all = append(all, fmt.Sprintf("%s: %s", t, s.troubles[t]))
	}
	return strings.Join(all, "; ")
}

// refused reports whether the link has refused an update that it could have carried at
// another size, or with more room.
func refused(err error) bool { return err != nil && !errors.Is(err, source.ErrClosed) }
