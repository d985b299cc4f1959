package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/text"
)

// Kind is what a Fact is about.
type Kind string

// The kinds, for programs: they do not change.
const (
	KindConfiguration Kind = "configuration" // it is refused
	KindLink          Kind = "link"          // nothing arrives, or nothing leaves
	KindEpoch         Kind = "epoch"         // the transmitter's run is not accepted
	KindClock         Kind = "clock"         // the times of records may be wrong
	KindUnmatched     Kind = "unmatched"     // a channel that the other side alone has
	KindSource        Kind = "source"        // the channel's source is not up
	KindChannel       Kind = "channel"       // the channel is not ready otherwise
	KindMissing       Kind = "missing"       // records that may still come
	KindLost          Kind = "lost"          // records that do not come any more
	KindRefused       Kind = "refused"       // records that the sink's peer, or the link, does not take
	KindExpired       Kind = "expired"       // records that waited too long for the sink's peer
	KindDropped       Kind = "dropped"       // records that found the queue to the link full
	KindMissed        Kind = "missed"        // records that were lost before the link
	KindSink          Kind = "sink"          // the sink is not up
	KindBehind        Kind = "behind"        // the sink's peer takes less than comes
	KindSpool         Kind = "spool"         // records that found the spool full
	KindDamaged       Kind = "damaged"       // records of the spool, or parts of the history, whose files are damaged
	KindUnkept        Kind = "unkept"        // records that the mirror's history does not keep
	KindState         Kind = "state"         // what is kept in memory alone, and a restart loses
)

// Fact is one thing that is wrong with the numbers that a role passes on. Facts are the one
// judgement of a snapshot: Trust sums them up, and package diagnosis has a finding and a
// cure for each, so that the two do not contradict each other.
type Fact struct {
	TrustReason // Since zero: since it was found first
	Level       Level
	Why         cause.Cause
	Peer        *Peer // of KindSink, KindBehind, KindSpool and KindDamaged

	id    string        // of several of a kind in a channel
	after time.Duration // how long it must hold to be a reason
	count *uint64       // of what is gone; a reason while it has grown of late, with Text's %s
	falls bool          // count falls when some of it comes after all; else it has begun again
	known uint64        // of count, what is of late by the snapshot alone
	noun  string        // what count counts; "": records
}

// certain reports whether a snapshot alone tells that the fact holds.
func (f *Fact) certain() bool { return f.count == nil && f.after == 0 }

func newFact(kind Kind, level Level, channel, text string) Fact {
	return Fact{Level: level, TrustReason: TrustReason{Kind: kind, Channel: channel, Text: text}}
}

// Facts returns what is wrong by a snapshot that an Observer has completed, with what its
// Trust adds from those before it.
func Facts(now time.Time, s *Snapshot) (list []Fact) {
	for _, f := range facts(now, s) {
		if f.certain() {
			list = append(list, f)
		}
	}
	if s.Trust == nil {
		return list
	}
	for _, r := range s.Trust.Reasons {
		same := func(f Fact) bool { return f.Kind == r.Kind && f.Channel == r.Channel }
		if r.Kind != "" && !slices.ContainsFunc(list, same) {
			list = append(list, Fact{TrustReason: r, Level: s.Trust.Level, Peer: s.sink(r.Channel)})
		}
	}
	return list
}

// sink returns that of a channel, nil for none.
func (s *Snapshot) sink(channel string) *Peer {
	for i := range s.Peers {
		if s.Peers[i].Channel == channel {
			return &s.Peers[i]
		}
	}
	return nil
}

// facts are all that may keep the numbers of a snapshot from being trusted.
func facts(now time.Time, s *Snapshot) (list []Fact) {
	if len(s.Refused) > 0 {
		return []Fact{newFact(KindConfiguration, No, "", "the configuration is refused: "+s.Refused[0])}
	}
	linked := s.Link.State == ""
	refused := slices.ContainsFunc(s.NotReady, func(r task.Reason) bool { return r.Why.Code == cause.EpochRegressed })
	if !linked && !(refused && s.Link.Cause.Code == cause.Silent) { // frames arrive: their epoch is refused
		f := newFact(KindLink, No, "", s.Link.State)
		f.Why = s.Link.Cause
		if age := s.Link.LastHeartbeatAgeSeconds; age != nil {
			f.Since = now.Add(-time.Duration(*age * float64(time.Second))).UTC().Truncate(time.Second)
		}
		list = append(list, f)
	}
	if linked && s.ClockSet != nil && !*s.ClockSet {
		whose := map[string]string{"rx": "the transmitter's", "tx": "this machine's"}[s.Role]
		f := newFact(KindClock, Partly, "", whose+" clock is not set: the times of records may be wrong")
		f.Why = s.ClockCause
		list = append(list, f)
	}
	for _, r := range s.NotReady {
		name, isChannel := strings.CutPrefix(r.Part, "channel ")
		_, shown := s.Channels[name]
		if r.Why.Code == cause.EpochRegressed {
			list = append(list, newFact(KindEpoch, No, "", r.Cause))
		} else if linked && isChannel && !shown { // the other side alone has it
			f := newFact(KindUnmatched, Partly, name, r.Cause)
			f.Why = r.Why
			list = append(list, f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Channels)) {
		c := s.Channels[name]
		if linked { // else what was last known of the source is old
			list = append(list, sourceFacts(s, name, &c)...)
		}
		list = append(list, lossFacts(s.Role, name, &c)...)
		list = append(list, historyFacts(s, name)...)
	}
	if f := stateFact(s); f != nil {
		list = append(list, *f)
	}
	for i := range s.Peers {
		list = append(list, peerFacts(&s.Peers[i], s.Channels[s.Peers[i].Channel].Rate)...)
	}
	return list
}

// stateFact is that of what the disk does not keep, nil while it keeps all.
func stateFact(s *Snapshot) *Fact {
	var all []string
	f := newFact(KindState, Partly, "", "")
	for _, r := range s.NotReady {
		unkept := r.Why.Code == cause.DiskFull || r.Why.Code == cause.StateUnwritable
		if !unkept || r.Part == "link" || strings.HasPrefix(r.Part, "channel ") || s.down(r.Part) {
			continue
		}
		if f.Why.Code != cause.DiskFull { // it is the cause of what else is not kept, too
			f.Why = r.Why
		}
		all = append(all, strings.TrimPrefix(r.String(), "state: "))
	}
	if len(all) == 0 {
		return nil
	}
	f.Text = text.Clip(strings.Join(all, "; "), maxReason)
	return &f
}

// down reports whether a part is a source or a sink that is not up, which has a fact of its own.
func (s *Snapshot) down(part string) bool {
	for i := range s.Peers {
		if s.Peers[i].Name == part {
			return s.Peers[i].State != "up"
		}
	}
	for name, c := range s.Channels {
		if c.Protocol+" source "+name == part {
			return c.SourceState != "up"
		}
	}
	return false
}

// sourceFacts are those of a channel's source, and of what keeps the channel from being ready.
func sourceFacts(s *Snapshot, name string, c *Channel) (list []Fact) {
	up := c.SourceState == "up"
	if !up {
		why := "source " + c.SourceState
		if c.SourceReason != "" {
			why += ": " + c.SourceReason
		}
		f := newFact(KindSource, No, name, why)
		f.Why = c.SourceCause
		list = append(list, f)
	}
	for _, r := range s.NotReady {
		if channel, ok := strings.CutPrefix(r.Part, "channel "); ok && channel == name && (up || s.Role == "rx") &&
			r.Cause != c.SourceReason {
			f := newFact(KindChannel, Partly, name, r.Cause)
			f.Why, f.id = r.Why, cmp.Or(string(r.Why.Code), r.Cause)
			list = append(list, f)
		}
	}
	return list
}

// lossFacts are those of records of a channel that are missing.
func lossFacts(role, name string, c *Channel) (list []Fact) {
	if n := value(c.OpenRecords); n > 0 {
		f := newFact(KindMissing, Partly, name, records(n)+" missing, may still come")
		for _, h := range c.Holes { // newest first
			if !h.Final {
				f.Since = h.From
			}
		}
		list = append(list, f)
	}
	list = append(list, lostFact(name, c))
	counts := []struct {
		kind  Kind
		count *uint64
		text  string
	}{
		{KindRefused, c.Refused, "%s refused by the sink's peer"},
		{KindExpired, c.Expired, "%s expired on the way to the sink's peer"},
		{KindMissed, c.Missed, "%s lost before the link: " + strings.ReplaceAll(c.MissedReason, "%", "%%")},
	}
	if role == "tx" {
		counts[0].text = "%s not sent: " + strings.ReplaceAll(c.RefusedReason, "%", "%%")
		counts[1].kind, counts[1].count, counts[1].text = KindDropped, c.Dropped,
			"%s dropped: the plant sends more than the link takes"
	}
	for _, k := range counts {
		if k.count != nil {
			f := newFact(k.kind, Partly, name, k.text)
			f.count = k.count
			list = append(list, f)
		}
	}
	return list
}

// lostFact is that of records of a channel that do not come any more. Not all are in a hole
// that is shown; those of an earlier run are in holes alone: see ofHoles.
func lostFact(name string, c *Channel) Fact {
	f := newFact(KindLost, Partly, name, "%s lost for good")
	missing := value(c.Lost) + value(c.Unknown)
	f.falls, f.count = true, Of(missing-min(missing, value(c.OpenRecords)))
	return f
}

// historyFacts are those of the history of a channel's mirror, where one is kept.
func historyFacts(s *Snapshot, channel string) []Fact {
	of := func(kind Kind, noun, text string, counters ...string) Fact {
		f := newFact(kind, Partly, channel, text)
		f.id, f.noun, f.count = "history", noun, new(uint64)
		for _, name := range counters {
			*f.count += s.Counted("history", channel, name)
		}
		return f
	}
	return []Fact{
		of(KindUnkept, "record",
			"%s not kept in the history: the disk is full, read-only or slow, or they are over 1 MiB",
			"dropped_changes", "refused_changes"),
		of(KindDamaged, "part", "the history is damaged: %s of what it had could not be read", "damaged_parts"),
	}
}

// Counted returns a counter of a part, summed over the channels when channel is "".
func (s *Snapshot) Counted(part, channel, name string) (n uint64) {
	for _, set := range s.Counters {
		if set.Part == part && (channel == "" || set.Channel == channel) {
			i := slices.IndexFunc(set.Values, func(v counter.Value) bool { return v.Name == name })
			if i >= 0 {
				n += set.Values[i].Value
			}
		}
	}
	return n
}

func records(n uint64) string { return amount(n, "record") }

func amount(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// peerFacts are those of a sink, to whose channel so many records a second come.
func peerFacts(p *Peer, rate *float64) (list []Fact) {
	add := func(kind Kind, text string, after time.Duration, count *uint64) {
		f := newFact(kind, Partly, p.Channel, text)
		f.Peer, f.Why, f.id, f.after, f.count = p, p.Cause, p.Name, after, count
		list = append(list, f)
	}
	waits := ""
	if p.Spool != nil && p.Spool.Records > 0 {
		waits = records(uint64(p.Spool.Records)) + " waiting"
	}
	switch {
	case p.State != "up":
		why := "sink " + p.State
		if p.Reason != "" {
			why += ": " + p.Reason
		}
		if waits != "" {
			why += "; " + waits
		}
		add(KindSink, why, 0, nil)
	// Some always wait for the acknowledgement of a peer that keeps up.
	case waits != "" && (rate == nil || float64(p.Spool.Records) > *rate*behindAfter.Seconds()):
		add(KindBehind, waits+" for the sink's peer, which takes less than comes", behindAfter, nil)
	}
	if p.Spool != nil {
		add(KindSpool, "%s dropped: the spool was full", 0, &p.Spool.Dropped)
		add(KindDamaged, "%s lost: files of the spool are damaged", 0, &p.Spool.Damaged)
		add(KindDamaged, "%s of the spool could not be read, with an unknown number of records", 0,
			&p.Spool.Unreadable)
		files := &list[len(list)-1]
		files.id, files.noun = p.Name+" files", "file"
	}
	return list
}
