package opcua

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

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
	if s.state == source.Up {
		s.why = s.shortcomings()
		s.port.Report(s.state, s.why)
	}
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
