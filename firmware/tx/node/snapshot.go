package node

import (
	"fmt"
	"slices"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/source"
)

// Ready returns why the node does not do all its work: the reasons of its tasks and
// of its channels.
func (n *Node) Ready() task.Reasons {
	reasons := n.runner.Ready()
	for _, c := range n.link.Channels() {
		switch {
		case c.State != source.Up:
			reasons = append(reasons, task.Reason{Part: "channel " + c.Name, Cause: c.Down(), Why: n.why(c)})
		case c.Partial:
			reasons = append(reasons, task.Reason{Part: "channel " + c.Name, Cause: notComplete,
				Why: cause.Cause{Code: cause.Incomplete}})
		}
		if c.StateFull > 0 {
			reasons = append(reasons, task.Reason{Part: "channel " + c.Name, Why: cause.Cause{Code: cause.MemoryFull},
				Cause: fmt.Sprintf("%d values did not cross: more state than [memory] of this file lets it have; "+
					"take fewer topics, or restart with more", c.StateFull)})
		}
	}
	return reasons
}

// notComplete is why a channel whose source is up is not ready.
const notComplete = "the source's initial snapshot has not been sent yet"

// Snapshot is what the status server shows.
func (n *Node) Snapshot() status.Snapshot {
	now := time.Now() // before the counts are read: see Observe
	s := status.Snapshot{
		Role: "tx", Pair: n.config.TX.Pair, Version: n.config.Version, UptimeSeconds: time.Since(n.started).Seconds(),
		Clock: n.clockState(), Channels: map[string]status.Channel{}, Counters: counter.Gather(n.runner.Tasks),
		Notes: n.state.journal.Events(), Link: n.linkStatus(), Certificates: n.certificates(),
		Replay: n.replayStatus(), Disk: n.state.disk.Usage(), Telemetry: n.telemetry.Status(),
		ClockSet: status.Of(n.clockSet()), ClockCause: n.clockCause(),
	}
	for _, c := range n.link.Channels() {
		if c.Name != record.Gateway {
			one := channelStatus(c, n.protocols[c.Name])
			one.SourceCause = n.why(c)
			s.Channels[c.Name] = one
		}
	}
	s.Boards = []status.Board{n.board()}
	n.observer.Observe(now, &s, n.Ready())
	return s
}

// why is the cause of a source that is not up.
func (n *Node) why(c pipeline.ChannelStatus) cause.Cause {
	s := n.sources[c.Name]
	if c.State == source.Up || s == nil {
		return cause.Cause{}
	}
	return cause.Of(s.Ready())
}

// board is the machine of this node.
func (n *Node) board() status.Board {
	b := status.Board{Role: "tx", Version: n.config.Version, Clock: n.clockState(), Facts: n.machine.Facts()}
	if n.config.Reports != nil {
		b.SetRelease(n.state.updates.Running())
	}
	return b
}

func (n *Node) linkStatus() status.Link {
	counts := n.link.Counts()
	l := status.Link{
		Medium: string(n.config.TX.Link.Medium), Loopback: n.config.TX.Link.OnLoopback(), Epoch: n.state.session.Epoch,
		Frames: counts.Source + counts.Parity + counts.Hello + counts.Replay, Bytes: counts.Bytes,
	}
	if err := n.link.Ready(); err != nil {
		l.State, l.Cause = err.Error(), cause.Of(err)
	}
	return l
}

func (n *Node) replayStatus() *status.Replay {
	if n.config.TX.Replay.Memory == 0 {
		return nil
	}
	now := time.Now()
	r := &status.Replay{WindowSeconds: n.replay.Reach(now).Seconds()}
	if pass := n.replay.Pass(now); pass > 0 {
		r.PassSeconds = status.Of(pass.Seconds())
	}
	return r
}

func (n *Node) certificates() (list []status.Certificate) {
	for _, e := range n.expiries.List(time.Now()) {
		list = append(list, status.Certificate{Board: "tx", Name: e.Name, Expires: e.At,
			Thumbprint: e.Thumbprint})
	}
	slices.SortFunc(list, status.Certificate.Compare)
	return list
}

func channelStatus(c pipeline.ChannelStatus, protocol string) status.Channel {
	refused, why := c.Refused()
	return status.Channel{
		Protocol:      protocol,
		Sent:          status.Of(c.Sent),
		Conflated:     status.Of(c.Conflated),
		Dropped:       status.Of(c.Dropped),
		Refused:       status.Of(refused),
		RefusedReason: why,
		Missed:        status.Of(c.Missed),
		MissedReason:  c.MissedWhy,
		QueuedBytes:   status.Of(uint64(c.Queued)),
		Keys:          status.Of(uint64(c.Keys)),
		StateBytes:    status.Of(uint64(c.StateBytes)),
		SourceState:   c.State.String(),
		SourceReason:  c.Reason,
	}
}
