package status

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/task"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// well is a receiver without any trouble.
func well() Snapshot {
	return Snapshot{Role: "rx", ClockSet: Of(true), Link: Link{LastHeartbeatAgeSeconds: Of(0.2)},
		Channels: map[string]Channel{
			"cell": {SourceState: "up", Delivered: Of[uint64](9), Refused: Of[uint64](7), Expired: Of[uint64](0),
				Missed: Of[uint64](2), MissedReason: "2 lines"},
			"press": {SourceState: "up", Delivered: Of[uint64](9), OpenRecords: Of[uint64](0)}},
		Peers: []Peer{{Channel: "cell", Name: "mqtt sink cell", State: "up", Spool: &Spool{Dropped: 3}}}}
}

// wellTX is a transmitter without any trouble.
func wellTX() Snapshot {
	return Snapshot{Role: "tx", ClockSet: Of(true), Channels: map[string]Channel{
		"cell": {SourceState: "up", Sent: Of[uint64](9), Dropped: Of[uint64](0), Refused: Of[uint64](0),
			Missed: Of[uint64](0)}}}
}

// change has a channel of the snapshot changed.
func change(name string, to func(*Channel)) func(*Snapshot) {
	return func(s *Snapshot) {
		c := s.Channels[name]
		to(&c)
		s.Channels[name] = c
	}
}

func holes(holes ...Hole) func(*Snapshot) {
	return change("press", func(c *Channel) {
		c.Holes = holes
		for _, h := range holes {
			if !h.Final {
				*c.OpenRecords += h.Records
			}
		}
	})
}

// trouble is what is changed of a snapshot, and what follows.
type trouble struct {
	trouble func(*Snapshot)
	ready   task.Reasons
	level   Level
	since   time.Time
	channel string
	reason  string // the first one; "": none
}

// unkept is what a role says whose disk does not keep its state.
func unkept(code cause.Code) task.Reasons {
	why := cause.Cause{Code: code}
	return task.Reasons{{Part: "audit trail", Cause: "events are not kept", Why: why},
		{Part: "state", Cause: "spool of log not kept", Why: why}}
}

// The trouble begins a minute after a first snapshot without any, and is looked at
// another minute later.
func TestTrustInEveryTrouble(t *testing.T) {
	minute, hour := noon.Add(time.Minute), noon.Add(-time.Hour)
	for name, c := range map[string]trouble{
		"none": {func(*Snapshot) {}, nil, Yes, noon, "", ""},
		"the link is silent": {func(s *Snapshot) {
			s.Link.State, s.Link.LastHeartbeatAgeSeconds = "link: silent for 1m5s", Of(65.0)
			change("cell", func(c *Channel) { c.SourceState, c.SourceReason = "down", "link: silent" })(s)
		}, nil, No, minute.Add(-5 * time.Second), "", "link: silent for 1m5s"},
		"nothing was received yet": {func(s *Snapshot) {
			s.Link.State, s.Link.LastHeartbeatAgeSeconds = "link: nothing received from the transmitter yet", nil
		}, task.Reasons{{Part: "channel cell", Cause: "the initial snapshot is not complete yet"}}, No, minute, "",
			"link: nothing received from the transmitter yet"},
		"another pair key": {func(s *Snapshot) {
			s.Link.State, s.Link.LastHeartbeatAgeSeconds = "link: frames arrive that this pair key does not open", nil
		}, nil, No, minute, "", "link: frames arrive that this pair key does not open"},
		"an old transmitter": {func(s *Snapshot) {
			s.Link.State, s.Link.LastHeartbeatAgeSeconds = "link: silent for 1m0s", Of(60.0)
		}, task.Reasons{{Part: "epoch_regressed", Cause: "run 7 is not newer",
			Why: cause.Cause{Code: cause.EpochRegressed}}}, No, minute, "",
			"link: silent for 1m0s"},
		"a loss before the link": {change("cell", func(c *Channel) {
			c.Missed, c.MissedReason = Of[uint64](5), "2 lines, 3 or more at 100% load"
		}), nil, Partly, minute, "cell", "3 records lost before the link: 2 lines, 3 or more at 100% load"},
		"TX's clock": {func(s *Snapshot) { s.ClockSet = Of(false) }, nil, Partly, minute, "",
			"the transmitter's clock is not set: the times of records may be wrong"},
		"a source is down": {change("cell", func(c *Channel) {
			c.SourceState, c.SourceReason = "down", "connection refused"
		}), nil, No, minute, "cell", "source down: connection refused"},
		"a source connects": {change("cell", func(c *Channel) { c.SourceState = "connecting" }), nil, No, minute,
			"cell",
			"source connecting"},
		"a snapshot is not complete": {func(*Snapshot) {},
			task.Reasons{{Part: "channel cell", Cause: "the initial snapshot is not complete yet"}}, Partly, minute,
			"cell",
			"the initial snapshot is not complete yet"},
		"a channel that TX alone has": {func(*Snapshot) {},
			task.Reasons{{Part: "channel oven", Cause: "arrives, but no sink here takes it"}}, Partly, minute, "oven",
			"arrives, but no sink here takes it"},
		"what does not matter here": {func(*Snapshot) {}, task.Reasons{{Part: "audit trail", Cause: "read-only"}}, Yes,
			noon, "", ""},
		"a disk is full": {func(*Snapshot) {}, unkept(cause.DiskFull), Partly, minute, "",
			"audit trail: events are not kept; spool of log not kept"},
		"a disk is read-only": {func(*Snapshot) {}, unkept(cause.StateUnwritable), Partly, minute, "",
			"audit trail: events are not kept; spool of log not kept"},
		"a sink that may not read its key": {func(s *Snapshot) {
			s.Peers[0].State, s.Peers[0].Reason = "down", "permission denied"
		}, task.Reasons{{Part: "mqtt sink cell", Cause: "permission denied",
			Why: cause.Cause{Code: cause.StateUnwritable}}}, Partly, minute, "cell", "sink down: permission denied"},
		"a hole is open": {holes(Hole{From: hour.Add(time.Second), Records: 5}, Hole{From: hour, Records: 2}), nil,
			Partly,
			hour, "press", "7 records missing, may still come"},
		"a hole of an unknown time is open": {holes(Hole{Records: 5}), nil, Partly, minute, "press",
			"5 records missing, may still come"},
		"records are lost": {holes(Hole{From: hour, To: hour.Add(time.Second), Records: 5, Final: true}), nil, Partly,
			hour, "press", "5 records lost for good"},
		"records were lost the day before": {holes(Hole{From: noon.Add(-25 * time.Hour), Records: 5, Final: true}), nil,
			Yes, noon, "", ""},
		"a sink is down": {func(s *Snapshot) {
			s.Peers[0].State, s.Peers[0].Reason, s.Peers[0].Spool.Records = "down", "connection refused", 12
		}, nil, Partly, minute, "cell", "sink down: connection refused; 12 records waiting"},
		"a sink is slow": {func(s *Snapshot) { s.Peers[0].Spool.Records = 12 }, nil, Partly, minute, "cell",
			"12 records waiting for the sink's peer, which takes less than comes"},
		"the spool was full": {func(s *Snapshot) { s.Peers[0].Spool.Dropped += 4 }, nil, Partly, minute, "cell",
			"4 records dropped: the spool was full"},
		"a sink's peer refuses": {change("cell", func(c *Channel) { c.Refused = Of[uint64](9) }), nil, Partly, minute,
			"cell", "2 records refused by the sink's peer"},
		"records expire": {change("cell", func(c *Channel) { c.Expired = Of[uint64](1) }), nil, Partly, minute,
			"cell", "1 record expired on the way to the sink's peer"},
		"the configuration is refused": {func(s *Snapshot) {
			*s = Snapshot{Role: "rx", Refused: []string{"rx.toml:3: x"}}
		},
			nil, No, minute, "", "the configuration is refused: rx.toml:3: x"},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, well) })
	}
}

func TestTrustAtTX(t *testing.T) {
	minute := noon.Add(time.Minute)
	for name, c := range map[string]trouble{
		"none": {func(*Snapshot) {}, nil, Yes, noon, "", ""},
		"clock": {func(s *Snapshot) { s.ClockSet = Of(false) }, nil, Partly, minute, "",
			"this machine's clock is not set: the times of records may be wrong"},
		"link": {func(s *Snapshot) { s.Link.State = "link: no such device" }, nil, No, minute, "",
			"link: no such device"},
		"a source is down": {change("cell", func(c *Channel) { c.SourceState, c.SourceReason = "down", "no route" }),
			task.Reasons{{Part: "channel cell", Cause: "source down: no route"}}, No, minute, "cell",
			"source down: no route"},
		"state does not fit": {func(*Snapshot) {},
			task.Reasons{{Part: "channel cell", Cause: "3 values did not cross"}},
			Partly, minute, "cell", "3 values did not cross"},
		"the plant sends too much": {change("cell", func(c *Channel) { c.Dropped = Of[uint64](8) }), nil,
			Partly, minute, "cell", "8 records dropped: the plant sends more than the link takes"},
		"a loss before the link": {change("cell", func(c *Channel) {
			c.Missed, c.MissedReason = Of[uint64](1), "1 or more events"
		}), nil, Partly, minute, "cell", "1 record lost before the link: 1 or more events"},
		"records are too long": {change("cell", func(c *Channel) {
			c.Refused, c.RefusedReason = Of[uint64](1), "1 larger than 100% of a record"
		}), nil, Partly, minute, "cell", "1 record not sent: 1 larger than 100% of a record"},
	} {
		t.Run(name, func(t *testing.T) { c.check(t, wellTX) })
	}
}

func (c trouble) check(t *testing.T, before func() Snapshot) {
	t.Helper()
	var o Observer
	var s Snapshot
	for minute := range 3 {
		var ready task.Reasons
		if s = before(); minute > 0 {
			c.trouble(&s)
			ready = c.ready
		}
		o.Observe(noon.Add(time.Duration(minute)*time.Minute), &s, ready)
	}
	got := TrustReason{}
	if v := s.Trust; len(v.Reasons) > 0 {
		got = v.Reasons[0]
	}
	if v := s.Trust; v.Level != c.level || got.Text != c.reason || got.Channel != c.channel ||
		!v.Since.Equal(c.since) ||
		v.Sentence == "" {
		t.Errorf("got %+v, want %s since %v: %s %q", v, c.level, c.since, c.channel, c.reason)
	}
}

// One disk that does not keep the state is one reason, with a sentence of its own.
func TestADiskThatDoesNotKeepTheStateHasItsSentence(t *testing.T) {
	for role, c := range map[string]struct {
		snap Snapshot
		want string
	}{"rx": {well(), "The numbers are right, but a restart loses some"},
		"tx": {wellTX(), "leaves this side, but a restart loses some"}} {
		var o Observer
		o.Observe(noon, &c.snap, unkept(cause.DiskFull))
		if v := c.snap.Trust; len(v.Reasons) != 1 || !strings.Contains(v.Sentence, c.want) {
			t.Errorf("%s: got %+v, want one reason and %q", role, v, c.want)
		}
	}
}

func TestTrustComesBack(t *testing.T) {
	var o Observer
	see := func(after time.Duration, trouble func(*Snapshot)) *Trust {
		s := well()
		trouble(&s)
		o.Observe(noon.Add(after), &s, nil)
		return s.Trust
	}
	fine := func(*Snapshot) {}
	clock := func(s *Snapshot) { s.ClockSet = Of(false) }
	refuse := change("cell", func(c *Channel) { c.Refused = Of[uint64](9) })
	for _, c := range []struct {
		after   time.Duration
		trouble func(*Snapshot)
		level   Level
		since   time.Duration
	}{
		{0, fine, Yes, 0}, {time.Minute, fine, Yes, 0}, {2 * time.Minute, clock, Partly, 2 * time.Minute},
		{3 * time.Minute, clock, Partly, 2 * time.Minute}, {4 * time.Minute, fine, Yes, 4 * time.Minute},
		{5 * time.Minute, clock, Partly, 5 * time.Minute},
		{10 * time.Minute, refuse, Partly, 10 * time.Minute}, {time.Hour, refuse, Partly, 10 * time.Minute},
		{24*time.Hour + 10*time.Minute, refuse, Yes, 24*time.Hour + 10*time.Minute},
	} {
		if v := see(c.after, c.trouble); v.Level != c.level || !v.Since.Equal(noon.Add(c.since)) {
			t.Errorf("after %v: got %+v, want %s since %v", c.after, v, c.level, c.since)
		}
	}
}

// Clients take snapshots at once: one that was taken first may be observed last.
func TestASnapshotThatIsOvertakenCountsNothingTwice(t *testing.T) {
	var o Observer
	at := noon
	see := func(after time.Duration, refused, delivered uint64) Snapshot {
		at = at.Add(after)
		s := well()
		change("cell", func(c *Channel) { c.Refused, c.Delivered = &refused, &delivered })(&s)
		o.Observe(at, &s, nil)
		return s
	}
	see(0, 5, 1000)
	for i := range uint64(10) {
		see(time.Second, 5+i, 1000+i*10)
		see(time.Millisecond, 5, 1000)
		if s := see(time.Millisecond, 5+i, 1000+i*10); i > 0 && (s.Channels["cell"].Rate == nil ||
			!strings.HasPrefix(s.Trust.Reasons[0].Text, records(i)+" refused")) {
			t.Fatalf("after %d: got rate %v, %+v", i, s.Channels["cell"].Rate, s.Trust)
		}
	}
	see(2*time.Second, 0, 0) // RX began again
	if s := see(time.Second, 2, 9); !strings.HasPrefix(s.Trust.Reasons[0].Text, "11 records refused") {
		t.Errorf("of counts that began again: got %+v, want 9 and 2", s.Trust)
	}
}

func TestAReasonKeepsItsTimeBesideOthersThatComeAndGo(t *testing.T) {
	full := task.Reason{Part: "channel cell", Cause: "3 values did not cross", Why: cause.Cause{Code: cause.MemoryFull}}
	more := full
	more.Cause = "4 values did not cross"
	other := task.Reason{Part: "channel cell", Cause: "not ready"}
	incomplete := task.Reason{Part: "channel cell", Cause: "incomplete", Why: cause.Cause{Code: cause.Incomplete}}
	var o Observer
	for minute, ready := range []task.Reasons{{full}, {other, full}, {incomplete, other, more}, {other, more}} {
		s := well()
		o.Observe(noon.Add(time.Duration(minute)*time.Minute), &s, ready)
		for _, r := range s.Trust.Reasons {
			want := map[string]time.Time{full.Cause: noon, more.Cause: noon, other.Cause: noon.Add(time.Minute),
				incomplete.Cause: noon.Add(2 * time.Minute)}[r.Text]
			if !r.Since.Equal(want) {
				t.Errorf("minute %d: got %q since %v, want %v", minute, r.Text, r.Since, want)
			}
		}
		if len(s.Trust.Reasons) != len(ready) {
			t.Errorf("minute %d: got %+v, want %d reasons", minute, s.Trust.Reasons, len(ready))
		}
	}
}

func TestSlowSinkIsAReasonOnlyWhenItLasts(t *testing.T) {
	var o Observer
	for after, want := range []Level{0: Yes, 5: Yes, 9: Yes, 10: Partly} {
		if want == "" {
			continue
		}
		s := well()
		s.Peers[0].Spool.Records = 1
		if o.Observe(noon.Add(time.Duration(after)*time.Second), &s, nil); s.Trust.Level != want {
			t.Errorf("after %d s: got %+v, want %s", after, s.Trust, want)
		}
	}
}

// A peer that keeps up has always some records to acknowledge.
func TestRecordsOnTheirWayAreNoReason(t *testing.T) {
	var o Observer
	for second := range 60 {
		s := well()
		s.Peers[0].Spool.Records = 12
		change("cell", func(c *Channel) { c.Delivered = Of(uint64(100 * second)) })(&s)
		if o.Observe(noon.Add(time.Duration(second)*time.Second), &s, nil); s.Trust.Level != Yes {
			t.Fatalf("after %d s: got %+v, want yes", second, s.Trust)
		}
	}
}

func TestReasonsAreBounded(t *testing.T) {
	s := well()
	for i := range 50 {
		s.Channels[fmt.Sprint("channel ", i)] = Channel{SourceState: "down", SourceReason: string(make([]byte, 5000))}
	}
	new(Observer).Observe(noon, &s, nil)
	if r := s.Trust.Reasons; len(r) != MaxReasons || r[MaxReasons-1].Text != "and 31 further reasons" ||
		len(r[0].Text) > maxReason {
		t.Errorf("got %d reasons, the last %q, the first of %d bytes", len(r), r[MaxReasons-1].Text, len(r[0].Text))
	}
}

func TestRateIsThatOfTenSeconds(t *testing.T) {
	var o Observer
	see := func(second int, delivered uint64) *float64 {
		s := well()
		change("cell", func(c *Channel) { c.Delivered = &delivered })(&s)
		o.Observe(noon.Add(time.Duration(second)*time.Second), &s, nil)
		return s.Channels["cell"].Rate
	}
	if got := see(0, 1000); got != nil {
		t.Errorf("at first: got %v, want none", *got)
	}
	for second := 1; second <= 60; second++ {
		if got := see(second, 1000+uint64(second)*4); got == nil || *got != 4 {
			t.Fatalf("after %d s: got %v, want 4", second, got)
		}
	}
	if got := see(70, 1240); *got != 0 {
		t.Errorf("ten seconds after the last: got %v, want 0", *got)
	}
	if got := see(71, 3); got != nil {
		t.Errorf("of a count that began again: got %v, want none", *got)
	}
}

func TestDaysLeft(t *testing.T) {
	for left, want := range map[time.Duration]int{0: 0, 47 * time.Hour: 1, 48 * time.Hour: 2, -time.Second: -1} {
		s := Snapshot{Certificates: []Certificate{{Expires: noon.Add(left)}}}
		if new(Observer).Observe(noon, &s, nil); s.Certificates[0].DaysLeft != want {
			t.Errorf("%v before the end: got %d, want %d", left, s.Certificates[0].DaysLeft, want)
		}
	}
}

func TestOfAClockThatIsNotSetTheSentenceNamesTheTimes(t *testing.T) {
	for name, c := range map[string]struct {
		trouble func(*Snapshot)
		want    string
	}{
		"alone": {func(s *Snapshot) { s.ClockSet = Of(false) }, only[KindClock]["rx"]},
		"beside a hole": {func(s *Snapshot) {
			s.ClockSet = Of(false)
			holes(Hole{From: noon, Records: 5})(s)
		}, sentences["rx"][Partly]},
		"beside a silent link": {func(s *Snapshot) {
			s.ClockSet, s.Link.State = Of(false), "link: silent for 1m5s"
		}, sentences["rx"][No]},
	} {
		s, o := well(), Observer{}
		c.trouble(&s)
		if o.Observe(noon, &s, nil); s.Trust.Sentence != c.want {
			t.Errorf("%s: got %q, want %q", name, s.Trust.Sentence, c.want)
		}
	}
}

func TestDamageFoundAtTheStartIsAReason(t *testing.T) {
	var judge trusting
	s := well()
	s.Peers[0].Spool.Damaged = 4
	v := judge.judge(noon, &s)
	if len(v.Reasons) != 1 || v.Level != Partly || v.Reasons[0].Kind != KindDamaged ||
		v.Reasons[0].Text != "4 records lost: files of the spool are damaged" {
		t.Errorf("got %+v, want the damage", v)
	}
	judge, s = trusting{}, well()
	s.Peers[0].Spool.Unreadable, s.Peers[0].Spool.Gaps = 1, 1
	const unreadable = "1 file of the spool could not be read, with an unknown number of records"
	for after := range 2 {
		v = judge.judge(noon.Add(time.Duration(after)*time.Minute), &s)
		if len(v.Reasons) != 1 || v.Reasons[0].Kind != KindDamaged || v.Reasons[0].Text != unreadable {
			t.Errorf("got %+v, want %q", v, unreadable)
		}
	}
	judge, s = trusting{}, well()
	s.Peers[0].Spool.Gaps = 1 // by a crash
	if v = judge.judge(noon, &s); len(v.Reasons) > 0 {
		t.Errorf("after a crash: got %+v, want no reason", v)
	}
}

func TestWhatTheHistoryDoesNotKeepIsAReason(t *testing.T) {
	const channel = "press"
	with := func(dropped, damaged uint64) *Snapshot {
		s := well()
		s.Counters = []counter.Set{{Part: "history", Channel: channel, Values: []counter.Value{
			{Name: "dropped_changes", Value: dropped}, {Name: "refused_changes", Value: 1},
			{Name: "damaged_parts", Value: damaged}}}}
		return &s
	}
	var judge trusting
	if v := judge.judge(noon, with(5, 0)); len(v.Reasons) > 0 {
		t.Errorf("got %+v, want no reason: it was before", v)
	}
	v := judge.judge(noon.Add(time.Minute), with(7, 0))
	if len(v.Reasons) != 1 || v.Level != Partly || v.Reasons[0].Kind != KindUnkept ||
		v.Reasons[0].Channel != channel || !strings.HasPrefix(v.Reasons[0].Text, "2 records not kept in the history") {
		t.Errorf("got %+v, want the records that the history did not keep", v)
	}
	if v = judge.judge(noon.Add(25*time.Hour), with(7, 0)); len(v.Reasons) > 0 {
		t.Errorf("got %+v, want no reason after a day", v)
	}
	judge = trusting{}
	const damage = "the history is damaged: 1 part of what it had could not be read"
	if v = judge.judge(noon, with(0, 1)); len(v.Reasons) != 1 || v.Reasons[0].Kind != KindDamaged ||
		v.Reasons[0].Text != damage {
		t.Errorf("got %+v, want %q", v, damage)
	}
}
