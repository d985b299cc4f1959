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

// sourceStats counts what crosses in another way than the server has it, or not
// at all.
type sourceStats struct {
	LostNotifications atomic.Uint64 `count:"lost_notifications" help:"Notification messages that the server did not send again."`
	UnreadableValues  atomic.Uint64 `count:"unreadable_values" help:"Values in notifications that could not be decoded."`
	SkippedValues     atomic.Uint64 `count:"skipped_values" help:"Values sent with the overflow bit: older ones of the same variable were skipped by the server."`
	RereadValues      atomic.Uint64 `count:"reread_values" help:"Values read again because a notification was lost."`
	DeadItems         atomic.Uint64 `count:"dead_items" help:"Monitored items that had stopped reporting without a status; they were monitored again."`
	RefusedValues     atomic.Uint64 `count:"refused_values" help:"Values that the link does not carry; the mirror shows a Bad status in their place."`
	UnreadableEvents  atomic.Uint64 `count:"unreadable_events" help:"Events that could not be decoded or lack what an event must have."`
	ReducedEvents     atomic.Uint64 `count:"reduced_events" help:"Events that crossed without fields too large for the link."`
	RefusedEvents     atomic.Uint64 `count:"refused_events" help:"Events that the link does not carry."`
	RefusedBlocks     atomic.Uint64 `count:"refused_blocks" help:"Blocks of nodes that the link does not carry, or not with all attributes."`
	PolledItems       atomic.Uint64 `count:"polled_items" help:"Variables that the server does not monitor; they are read in turn."`
	FailedBrowses     atomic.Uint64 `count:"failed_browses" help:"Nodes whose references could not be browsed."`
	CutBrowses        atomic.Uint64 `count:"cut_browses" help:"Browses that ended at a bound: nodes, bytes, or continuations of one node."`
	Sessions          atomic.Uint64 `count:"sessions" help:"Sessions made with the server."`
}

// Counters implements counter.Source.
func (s *Source) Counters() []counter.Set {
	return []counter.Set{counter.Of("opcua_source", s.cfg.Channel, &s.stats)}
}

// topic is what an operator is told of until it is over.
type topic string

const (
	refusedValues topic = "values that the link does not carry"
	refusedBlocks topic = "nodes that the link does not carry"
	noEvents      topic = "events"
	cutBrowse     topic = "browsing"
)

// tell sets what is wrong about a topic, "" when nothing is. It shows in /readyz,
// and in the channel's reason on both sides.
func (s *Source) tell(t topic, trouble string) {
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

// notice sets what an operator should know of a session that works, "" for nothing. It
// shows in the channel's reason on both sides, and not in /readyz.
func (s *Source) notice(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noticed != text {
		s.noticed = text
		s.reportAgain()
	}
}

// reportAgain reports another reason of the state that it is in. It is called with mu
// held.
func (s *Source) reportAgain() {
	if s.state == source.Up {
		s.why = s.upReason()
		s.port.Report(s.state, s.why)
	}
}

// upReason is what is reported while the session stands, what is wrong first: the link
// carries a part of a long reason. It is called with mu held.
func (s *Source) upReason() string {
	why := s.shortcomings()
	switch {
	case s.noticed == "":
		return why
	case why == "":
		return "connected; " + s.noticed
	}
	return why + "; " + s.noticed
}

// overlooked says what is wrong with a certificate that is accepted all the same, and
// by which key.
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
	return fmt.Sprintf("server certificate %s, accepted by tolerate = [%s]", strings.Join(facts, " and "), strings.Join(keys, ", "))
}

// shortcomings joins what is wrong while the session stands. It is called with mu
// held.
func (s *Source) shortcomings() string {
	var all []string
	for _, t := range slices.Sorted(maps.Keys(s.troubles)) {
		all = append(all, fmt.Sprintf("%s: %s", t, s.troubles[t]))
	}
	return strings.Join(all, "; ")
}

// refused tells whether the link has refused an update that it could have carried
// at another size or with more room.
func refused(err error) bool { return err != nil && !errors.Is(err, source.ErrClosed) }
