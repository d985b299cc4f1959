package node

import (
	"fmt"
	"slices"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
)

// Snapshot is what the status server shows.
func (n *Node) Snapshot() status.Snapshot {
	now := time.Now() // before the counts are read: see Observe
	st, t := n.link.Status(), n.transmitter()
	s := status.Snapshot{
		Role: "rx", Pair: n.config.RX.Pair, Version: n.config.Version, UptimeSeconds: time.Since(n.started).Seconds(),
		Clock: "transmitter's clock not set", Channels: map[string]status.Channel{},
		Counters: counter.Gather(n.runner.Tasks), Notes: n.state.journal.Events(), Link: n.linkStatus(st),
		Peers: n.peers(), Transmitter: t.values, Certificates: t.certificates(), Disk: n.state.disk.Usage(),
	}
	if st.ClockSet {
		s.Clock = "transmitter's clock set"
	}
	if n.link.Ready() == nil {
		s.ClockSet = &st.ClockSet
		if !st.ClockSet {
			s.ClockCause = cause.Cause{Code: cause.Clock}
		}
	}
	for _, e := range n.expiries.List(time.Now()) {
		s.Certificates = append(s.Certificates, status.Certificate{Board: "rx", Name: e.Name, Expires: e.At,
			Thumbprint: e.Thumbprint})
	}
	slices.SortFunc(s.Certificates, status.Certificate.Compare)
	protocols := map[string]string{}
	for _, c := range n.channels {
		protocols[c.name] = c.protocol
	}
	silent := n.link.Ready()
	there := t.protocols()
	for _, c := range st.Channels {
		why := t.why(c)
		if _, ok := there[c.Name]; t.complete && !ok { // its source's state is that of an earlier configuration
			c.State, c.Reason, why = record.SourceDown, notThere(there), cause.Cause{Code: cause.ChannelName}
		}
		if c.Name != record.Gateway {
			one := channelStatus(c, protocols[c.Name], silent)
			if silent == nil {
				one.SourceCause = why
			}
			one.Missed, one.MissedReason = t.missed(c.Name)
			s.Channels[c.Name] = one
		}
	}
	s.Replay, s.Measurement = replayStatus(st.Channels), measurement(st.Measured)
	s.Telemetry = n.telemetry.Status()
	s.Boards = n.boards(st, &t)
	s.SetClients(n.clients())
	n.observer.Observe(now, &s, n.Ready())
	return s
}

// peers returns the state of every sink, and of the audit trail's.
func (n *Node) peers() (list []status.Peer) {
	for _, c := range n.sinks() {
		state, reason := c.sink.Status()
		p := status.Peer{Channel: c.name, Name: c.sink.String(), State: state.String(), Reason: reason,
			Address: c.address}
		if state != sink.Up {
			p.Cause = cause.Of(c.sink.Ready())
		}
		if c.queue != nil {
			q := c.queue.Stats()
			p.Spool = &status.Spool{
				Bytes: q.Bytes, Limit: q.Limit, Records: q.Records, Dropped: q.Dropped, Damaged: q.Damaged,
				Unreadable: q.Unreadable, Gaps: q.Unknown, Fault: q.Fault,
			}
		}
		list = append(list, p)
	}
	return list
}

// channelStatus returns the state of a channel. silent is why the link does not
// deliver: the source's state is then only the last one known.
func channelStatus(c pipeline.ChannelStatus, protocol string, silent error) status.Channel {
	s := status.Channel{
		Protocol:     protocol,
		Sent:         status.Of(c.Sent),
		Delivered:    status.Of(c.Delivered),
		Conflated:    status.Of(c.Conflated),
		Lost:         status.Of(c.Lost),
		Unknown:      status.Of(c.Unknown),
		Refused:      status.Of(c.Refused),
		Expired:      status.Of(c.Expired),
		Complete:     status.Of(c.Complete),
		AgeSeconds:   seconds(c.Age),
		Keys:         status.Of(uint64(c.Keys)),
		Valueless:    status.Of(uint64(c.Over)),
		SourceState:  c.State.String(),
		SourceReason: c.Reason,
	}
	showHoles(&s, c)
	if silent != nil {
		s.SourceReason = fmt.Sprintf("%v; last known: %s %s", silent, s.SourceState, c.Reason)
		s.SourceState = record.SourceDown.String()
	}
	return s
}

// seconds is an age in seconds, nil while it is not known.
func seconds(age time.Duration) *float64 {
	if age < 0 {
		return nil
	}
	return status.Of(age.Seconds())
}

func (n *Node) linkStatus(st pipeline.Status) status.Link {
	f := st.Frames
	l := status.Link{
		Medium:                  string(n.config.RX.Link.Medium),
		Loopback:                n.config.RX.Link.OnLoopback(),
		Epoch:                   st.Epoch,
		Frames:                  f.Frames,
		Bytes:                   st.Bytes,
		Dropped:                 status.Of(st.Dropped),
		CRCErrors:               status.Of(f.Noise),
		AuthFailures:            status.Of(f.AuthFailed),
		Replayed:                status.Of(f.Replayed),
		Repaired:                status.Of(f.Repaired),
		Lost:                    status.Of(f.Lost),
		LastHeartbeatAgeSeconds: seconds(st.HeartbeatAge),
	}
	if err := n.link.Ready(); err != nil {
		l.State, l.Cause = err.Error(), cause.Of(err)
	} else if delays := n.link.Delays(); len(delays) > 0 {
		slices.Sort(delays)
		l.LatencyP50Seconds = seconds(delays[(len(delays)-1)*50/100])
		l.LatencyP99Seconds = seconds(delays[(len(delays)-1)*99/100])
	}
	return l
}
