package diagnosis_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

// world makes snapshots of a role that has any troubles.
type world struct {
	*rand.Rand
	role   string
	counts [6]uint64
}

func pick[T any](w *world, all ...T) T { return all[w.IntN(len(all))] }

func (w *world) often() bool { return w.IntN(4) == 0 }

// count is a count that may have grown.
func (w *world) count(i int) *uint64 {
	if w.often() {
		w.counts[i] += w.Uint64N(3)
	}
	return status.Of(w.counts[i])
}

func (w *world) cause() cause.Cause {
	return cause.Cause{Code: pick(w, "", cause.ConnectionRefused, cause.ServerUntrusted, cause.Policy, cause.MQTTUser,
		cause.ChannelName, cause.PortInUse, cause.Silent, cause.KeyMismatch, cause.Incomplete, cause.DiskFull,
		cause.StateUnwritable, "unheard-of")}
}

func (w *world) channel(now time.Time) status.Channel {
	c := status.Channel{Protocol: pick(w, "opcua", "mqtt", "syslog", ""), SourceState: pick(w, "up", "up", "up", "down",
		"connecting"), OpenRecords: status.Of(w.Uint64N(2) * w.Uint64N(9)), Refused: w.count(0), Expired: w.count(1),
		Dropped: w.count(2), Lost: w.count(5), Rate: pick(w, nil, status.Of(1.0))}
	if c.SourceState != "up" && w.often() {
		c.SourceReason, c.SourceCause = "some reason", w.cause()
	}
	for range w.IntN(3) {
		c.Holes = append(c.Holes, status.Hole{From: now.Add(-time.Duration(w.IntN(48)) * time.Hour),
			Records: w.Uint64N(9),
			Final:   w.often()})
	}
	return c
}

func (w *world) snapshot(now time.Time) (s status.Snapshot, ready task.Reasons) {
	s = status.Snapshot{Role: w.role, Channels: map[string]status.Channel{}, ClockSet: pick(w, nil, status.Of(true),
		status.Of(false)), ClockCause: w.cause(), Link: status.Link{Medium: pick(w, "udp", "uart"),
		Dropped: w.count(3)}}
	if w.often() {
		s.Link.State, s.Link.Cause = "link: does not work", w.cause()
		s.Link.LastHeartbeatAgeSeconds = pick(w, nil, status.Of(7.0))
	}
	if w.IntN(20) == 0 {
		s.Refused = []string{"f.toml:1: bad"}
	}
	for i := range w.IntN(4) {
		name := fmt.Sprint("c", i)
		s.Channels[name] = w.channel(now)
		if w.often() {
			ready = append(ready, task.Reason{Part: "channel " + name, Cause: "a reason", Why: w.cause()})
		}
		p := status.Peer{Channel: name, Name: "mqtt sink " + name, State: pick(w, "up", "up", "down"), Cause: w.cause(),
			Spool: &status.Spool{Records: w.IntN(99), Dropped: *w.count(4)}}
		if w.role == "rx" {
			s.Peers = append(s.Peers, p)
		}
	}
	for _, part := range []string{"channel other", "state", "status", "epoch_regressed"} {
		if w.often() {
			r := task.Reason{Part: part, Cause: "a reason", Why: w.cause()}
			if part == "epoch_regressed" {
				r.Why.Code = cause.EpochRegressed
			}
			ready = append(ready, r)
		}
	}
	return s, ready
}

// What trust and the findings say of the same snapshots does not contradict: no fault while the
// numbers can be trusted, and nothing keeps them from that without a fault and a cure.
func TestFindingsAndTrustAgree(t *testing.T) {
	levels := map[status.Level]int{}
	for seed := range uint64(3000) {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 0)), role: "rx"}
		if seed%2 == 0 {
			w.role = "tx"
		}
		o := status.Observer{}
		for step := range 4 {
			at := now.Add(time.Duration(step) * 7 * time.Second)
			snap, ready := w.snapshot(at)
			o.Observe(at, &snap, ready)
			b, err := json.Marshal(snap) // as doctor gets it
			if err != nil {
				t.Fatal(err)
			}
			var read status.Snapshot
			if err := json.Unmarshal(b, &read); err != nil {
				t.Fatal(err)
			}
			if w.often() { // as a report that is too long is cut
				read.Channels, read.Peers, read.NotReady = nil, nil, nil
			}
			agree(t, seed, w.role, &read, at)
			levels[read.Trust.Level]++
		}
	}
	for _, l := range []status.Level{status.Yes, status.Partly, status.No} {
		if levels[l] < 50 {
			t.Errorf("trust was %q %d times: the snapshots are not random enough", l, levels[l])
		}
	}
}

func agree(t *testing.T, seed uint64, role string, s *status.Snapshot, at time.Time) {
	t.Helper()
	for _, config := range []string{"", "f.toml"} {
		list := diagnosis.Site{Role: role, Config: config}.Snapshot(s, at)
		fault := slices.IndexFunc(list, func(f diagnosis.Finding) bool { return f.Level == diagnosis.Fault })
		switch {
		case s.Trust.Level == status.Yes && fault >= 0:
			t.Errorf("seed %d: trust says yes, and there is the fault %+v", seed, list[fault])
		case s.Trust.Level != status.Yes && fault < 0:
			t.Errorf("seed %d: trust says %s for %+v, and no finding says why", seed, s.Trust.Level, s.Trust.Reasons)
		}
		for _, f := range list {
			if f.Cure == "" || f.Cause == "" || f.Where == "" || f.Level != diagnosis.Fault &&
				f.Level != diagnosis.Warning {
				t.Errorf("seed %d: the finding %+v does not say what to do", seed, f)
			}
		}
	}
}
