package page

import (
	"math"
	"math/rand/v2"
	"time"

	"heliograph/firmware/platform/audit"
	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/disk"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/platform/trend"
)

// scene is what a board shows: how it is changed from a healthy one, and why it is not ready.
type scene struct {
	change  func(s *status.Snapshot, now time.Time)
	reasons task.Reasons
	level   status.Level
	says    []string // stands on the page
}

const sourceDown = "dialling 10.0.0.5:4840: connection refused"

// receiving are the scenes of RX.
func receiving() map[string]scene {
	return map[string]scene{
		"healthy": {level: status.Yes, change: func(*status.Snapshot, time.Time) {},
			says: []string{"The numbers can be trusted.", "UaExpert", "Lit, blinks once a second", "1 day"}},
		"link-lost": {level: status.No, change: linkLost,
			says:    []string{"nothing received from TX for", "The link is away"},
			reasons: task.Reasons{{Part: "link", Cause: "nothing received from TX for 84 s"}}},
		"source-down": {level: status.No, says: []string{sourceDown, "press-line"},
			reasons: task.Reasons{{Part: "channel press-line", Cause: "source down: " + sourceDown}},
			change: func(s *status.Snapshot, _ time.Time) {
				c := s.Channels["press-line"]
				c.SourceState, c.SourceReason, c.AgeSeconds = "down", sourceDown, status.Of(8040.)
				s.Channels["press-line"] = c
			}},
		"wrong-key": {level: status.No, change: wrongKey, says: []string{"another pair key"},
			reasons: task.Reasons{{Part: "link", Cause: "frames arrive that are sealed with another pair key"}}},
		"healing": {level: status.Partly, change: healing,
			says: []string{"open: can still heal", "may still come"}},
		"expired": {level: status.Partly, change: expired, says: []string{"expired", "status server"},
			reasons: task.Reasons{{Part: "mqtt sink cell-1", Cause: "certificate expired"}}},
		"refused": {level: status.No, change: refused,
			says: []string{"Configuration refused", "heliograph.toml:12", "6 flashes"}},
	}
}

// sending are the scenes of TX, which never learns what arrives.
func sending() map[string]scene {
	return map[string]scene{
		"healthy": {level: status.Yes, change: func(*status.Snapshot, time.Time) {},
			says: []string{"All that the plant sends leaves this side.", "OPC UA"}},
		"link-lost": {level: status.No, says: []string{"no carrier on eth1"},
			reasons: task.Reasons{{Part: "link", Cause: "no carrier on eth1"}},
			change:  func(s *status.Snapshot, _ time.Time) { s.Link.State = "no carrier on eth1" }},
		"source-down": {level: status.No, says: []string{sourceDown},
			reasons: task.Reasons{{Part: "channel press-line", Cause: sourceDown}},
			change: func(s *status.Snapshot, _ time.Time) {
				c := s.Channels["press-line"]
				c.SourceState, c.SourceReason = "down", sourceDown
				s.Channels["press-line"] = c
			}},
		"clock-unset": {level: status.Partly, says: []string{"clock is not set"},
			change: func(s *status.Snapshot, _ time.Time) { s.Clock, s.ClockSet = "unset", status.Of(false) }},
		"overload": {level: status.Partly, says: []string{"the plant sends more than the link takes"},
			change: func(s *status.Snapshot, now time.Time) {
				c := s.Channels["press-line"]
				c.Dropped, c.QueuedBytes = status.Of(uint64(now.Unix()%1e6)), status.Of[uint64](3<<20)
				s.Channels["press-line"] = c
			}},
		"expired": {level: status.Yes, change: expired, says: []string{"expired", "status server"}},
		"refused": {level: status.No, change: refused,
			says: []string{"Configuration refused", "heliograph.toml:12", "6 flashes"}},
	}
}

// started is since when the boards of the scenes run.
const started = 9*24*time.Hour + 4*time.Hour

// healthy is a board without trouble. Its counters grow with time.
func healthy(role string, now time.Time) status.Snapshot {
	up := started + time.Duration(now.UnixMilli()%1e9)*time.Millisecond
	n := uint64(up.Seconds() * 40)
	s := status.Snapshot{
		Role: role, Pair: "press-hall", Version: "v1.4.0", UptimeSeconds: up.Seconds(), Clock: "ntp",
		ClockSet: status.Of(true),
		Link:     status.Link{Medium: "ethernet", Epoch: 7, Frames: n * 5, Bytes: n * 900},
		Replay:   &status.Replay{WindowSeconds: 13_245, PassSeconds: status.Of(4.5)},
		Disk:     &disk.Usage{Bytes: 512 << 20, Free: 471 << 20},
		Channels: map[string]status.Channel{
			"press-line": {Protocol: "opcua", Sent: status.Of(n), Conflated: status.Of(n / 4)},
			"cell-1":     {Protocol: "mqtt", Sent: status.Of(n / 3), Conflated: status.Of[uint64](0)},
			"plc-log":    {Protocol: "syslog", Sent: status.Of(n / 60), Conflated: status.Of[uint64](0)},
		},
		Counters: []counter.Set{
			{Part: "link", Values: []counter.Value{{Name: "frames", Help: "Frames on the link.", Value: n * 5},
				{Name: "short_frames", Help: "Frames that are too short to be one of ours."}}},
			{Part: "mqtt_sink", Channel: "cell-1", Values: []counter.Value{
				{Name: "resent_messages", Help: "Messages sent again after a reconnect.", Value: 12}}},
		},
		Certificates: certificates(now),
		Boards:       boards(role),
		Notes:        notes(now),
	}
	for name, c := range s.Channels {
		c.SourceState = "up"
		s.Channels[name] = c
	}
	if role == "rx" {
		receive(&s, n, now)
		return s
	}
	for i := range s.Certificates {
		s.Certificates[i].Board = "tx"
	}
	for name, c := range s.Channels {
		c.Dropped, c.Refused, c.Missed = status.Of[uint64](0), status.Of[uint64](0), status.Of[uint64](0)
		c.QueuedBytes, c.Keys = status.Of[uint64](0), status.Of[uint64](812)
		s.Channels[name] = c
	}
	return s
}

// receive adds what only RX knows.
func receive(s *status.Snapshot, n uint64, now time.Time) {
	s.Clock = "transmitter's clock set"
	s.Link.Repaired, s.Link.Lost = status.Of(n/700), status.Of[uint64](0)
	s.Link.CRCErrors, s.Link.AuthFailures = status.Of(n/900), status.Of[uint64](0)
	s.Link.Replayed, s.Link.Dropped = status.Of[uint64](0), status.Of[uint64](0)
	s.Link.LastHeartbeatAgeSeconds = status.Of(0.3)
	s.Measurement = &status.Measurement{Classes: []status.ClassRepairs{{Class: "low-latency",
		Needed: status.Histogram{Bounds: []float64{1, 2, 3, 4}, Counts: []uint64{n / 900, n / 4000, 0, 0, 0}}}}}
	for name, c := range s.Channels {
		c.Delivered, c.Healed = status.Of(*c.Sent-*c.Conflated), status.Of[uint64](1204)
		for _, zero := range []**uint64{&c.Lost, &c.Unknown, &c.Refused, &c.Expired, &c.Missed, &c.OpenHoles,
			&c.OpenRecords} {
			*zero = status.Of[uint64](0)
		}
		c.Complete, c.AgeSeconds, c.Holes = status.Of(true), status.Of(0.4), []status.Hole{}
		s.Channels[name] = c
	}
	s.Peers = []status.Peer{
		{Channel: "press-line", Name: "opcua sink press-line", State: "up", Address: "opc.tcp://0.0.0.0:4840"},
		{Channel: "cell-1", Name: "mqtt sink cell-1", State: "up", Address: "mqtts://it-broker:8883",
			Spool: &status.Spool{Limit: 64 << 20}},
		{Channel: "plc-log", Name: "syslog sink plc-log", State: "up", Address: "tcp://siem.example:601"},
		{Name: "syslog sink of the audit trail", State: "up", Address: "tcp://siem.example:601"},
	}
	s.Clients = []status.Client{
		{Channel: "press-line", Protocol: "opcua", Address: "10.20.0.17:52144", User: "ann",
			Application: "urn:pc-17:UnifiedAutomation:UaExpert", Since: now.Add(-3 * time.Hour)},
		{Channel: "press-line", Protocol: "opcua", Address: "10.20.0.9:40021", User: "historian",
			Application: "urn:historian:PI", Since: now.Add(-200 * time.Hour)},
	}
}

func certificates(now time.Time) []status.Certificate {
	in := func(days int) time.Time { return now.AddDate(0, 0, days).Add(time.Hour) }
	return []status.Certificate{
		{Board: "rx", Name: "opcua own", Expires: in(3480)},
		{Board: "rx", Name: "status server", Expires: in(512)},
		{Board: "tx", Name: "opcua press-line server", Expires: in(161)},
	}
}

func boards(role string) []status.Board {
	tx := status.Board{Role: "tx", Version: "v1.4.0", Clock: "ntp", Release: "12 (v1.4.0)",
		LastUpdate: "12 (v1.4.0) kept, 2026-11-02 09:12 UTC",
		Facts: machine.Facts{Name: "press-hall-tx", UptimeSeconds: started.Seconds(), Temperature: status.Of(51.4),
			Supply: machine.Fine, Card: "1.2 GB written since boot",
			LED: &machine.LED{Pattern: "lit, blinks once a second", Means: "all is well"}}}
	if role == "tx" {
		return []status.Board{tx}
	}
	rx := tx
	rx.Role, rx.Name, rx.Clock, rx.Card, rx.Temperature = "rx", "press-hall-rx", "link", "12 % worn", status.Of(46.)
	rx.Probe = &machine.Probe{Key: "v", Time: time.Now().Add(-time.Hour), Received: new(uint64),
		Sent: []machine.Means{{Name: "ARP request", Count: 500}}}
	return []status.Board{tx, rx}
}

func notes(now time.Time) (list []status.Note) {
	kinds := []status.Note{
		{Category: audit.Configuration, Event: "update_kept", Text: "release 12 became healthy, and runs",
			Result: audit.Success},
		{Category: audit.ControlSystem, Event: "role_started", Text: "v1.4.0", Result: audit.Success},
		{Category: audit.AccessControl, Event: "login_refused",
			Text: `a wrong password for "ann" at the status port, from 10.20.0.44`, Result: audit.Failure},
		{Category: audit.AccessControl, Event: "login", Text: `"ann" at the mirror of press-line, from 10.20.0.17`,
			Result: audit.Success},
	}
	for i := range 16 {
		e := kinds[i%len(kinds)]
		e.Number, e.Count, e.Source = uint64(i+40), 1, []string{"tx", "rx"}[i%2]
		e.Time = now.Truncate(time.Minute).Add(time.Duration(i-16) * 97 * time.Minute)
		list = append(list, e)
	}
	return list
}

func linkLost(s *status.Snapshot, now time.Time) {
	s.Link.State = "nothing received from TX for 84 s"
	s.Link.LastHeartbeatAgeSeconds = status.Of(84.)
	for name, c := range s.Channels {
		c.SourceState, c.SourceReason, c.AgeSeconds = "down", s.Link.State+"; last known: up", status.Of(85.)
		s.Channels[name] = c
	}
	s.Boards[1].LED = &machine.LED{Pattern: "5 flashes", Means: "link lost: RX receives no frames"}
}

func wrongKey(s *status.Snapshot, now time.Time) {
	linkLost(s, now)
	s.Link.State = "frames arrive that are sealed with another pair key: copy the same pair.key to both sides"
	s.Link.AuthFailures = status.Of(uint64(now.Unix() % 1e6))
	s.Notes = append(s.Notes, status.Note{Time: now.Truncate(time.Minute), Category: audit.AccessControl,
		Event: "auth_failure", Number: 57, Text: "frames that are not authentic: wrong key, or an attack",
		Result: audit.Failure, Source: "rx", Count: 8123})
}

func healing(s *status.Snapshot, now time.Time) {
	c := s.Channels["press-line"]
	from := now.Add(-6 * time.Minute).Truncate(time.Second)
	left := 1 + uint64(max(0, 1916-now.Unix()%1000))
	c.OpenHoles, c.OpenRecords, c.Lost = status.Of[uint64](2), status.Of(left), status.Of(left+3)
	c.Holes = []status.Hole{{From: from, To: from.Add(20 * time.Second), Records: left - 1},
		{From: from.Add(-time.Hour), To: from.Add(90*time.Second - time.Hour), Records: 1},
		{From: from.Add(-30 * time.Hour), To: from.Add(time.Second - 30*time.Hour), Records: 3, Final: true}}
	s.Channels["press-line"] = c
	s.Boards[len(s.Boards)-1].LED = &machine.LED{Pattern: "1 flash", Means: "frames are lost, or had to be repaired"}
}

func expired(s *status.Snapshot, now time.Time) {
	s.Certificates[0].Expires = now.AddDate(0, 0, 19)
	s.Certificates[1].Expires = now.AddDate(0, 0, -2)
	for i := range s.Peers {
		if s.Peers[i].Channel == "cell-1" {
			s.Peers[i].State, s.Peers[i].Reason = "down", "the broker's certificate expired 2 days ago"
			s.Peers[i].Spool = &status.Spool{Bytes: 5 << 20, Limit: 64 << 20, Records: 6120, Dropped: 4}
		}
	}
}

// refused is a board whose configuration is not run: it knows nothing else.
func refused(s *status.Snapshot, _ time.Time) {
	own := s.Boards[len(s.Boards)-1]
	own.LED = &machine.LED{Pattern: "6 flashes", Means: "does not run: its configuration is refused"}
	*s = status.Snapshot{Role: s.Role, Version: s.Version, UptimeSeconds: 84, Boards: []status.Board{own},
		Refused: []string{
			`heliograph.toml:12: unknown key "chanel"; did you mean "channel"?`,
			`heliograph.toml:31: endpoint "opc.tcp://10.0.0.5": a port is missing`}}
}

// history is how the figures of a link went that lost some frames twice.
func history(role string) func(span string) (trend.History, bool) {
	steps := map[string]float64{"10m": 2, "1d": 300, "1mo": 7200}
	return func(span string) (trend.History, bool) {
		step, known := steps[span]
		if !known {
			return trend.History{}, false
		}
		n := min(300, int(31*24*3600/step))
		r := rand.New(rand.NewPCG(uint64(n), uint64(step)))
		h := trend.History{Span: span, StepSeconds: step, To: time.Now().UTC().Truncate(time.Second)}
		add := func(name, unit string, value func(i int) float64) {
			v := make(trend.Values, n)
			for i := range v {
				v[i] = float32(value(i))
				if i > 40 && i < 48 {
					v[i] = float32(math.NaN())
				}
			}
			h.Series = append(h.Series, trend.Series{Name: name, Unit: unit, Values: v})
		}
		burst := func(i int) float64 { return math.Exp(-math.Pow(float64(i-n*2/3)/6, 2)) }
		add("frames", "1/s", func(i int) float64 {
			return 205 + 9*math.Sin(float64(i)/17) + 4*r.Float64() - 120*burst(i)
		})
		add("temperature", "°C", func(i int) float64 { return 48 + 4*math.Sin(float64(i)/60) })
		add("dropped", "1/s", func(int) float64 { return 0 })
		if role == "tx" {
			return h, true
		}
		add("repaired", "1/s", func(i int) float64 { return max(0, r.NormFloat64()*.3) + 11*burst(i) })
		add("lost", "1/s", func(i int) float64 { return math.Floor(5 * burst(i)) })
		add("damaged", "1/s", func(i int) float64 { return max(0, r.NormFloat64()*.2) })
		add("latency_p50", "s", func(i int) float64 { return .0019 + .0002*r.Float64() })
		add("latency_p99", "s", func(i int) float64 { return .004 + .001*r.Float64() + .018*burst(i) })
		return h, true
	}
}
