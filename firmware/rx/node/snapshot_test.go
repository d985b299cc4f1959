package node

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/record"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/sink"
)

func TestASnapshotBeforeAnythingArrives(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		time.Sleep(90 * time.Second)
		synctest.Wait()
		s := n.Snapshot()
		if s.Role != "rx" || s.Pair != "press-hall" || s.Version != "1.2.3" || s.UptimeSeconds != 90 ||
			s.Clock != "transmitter's clock not set" {
			t.Errorf("got %+v", s)
		}
		if v := s.Trust; v.Level != status.No || time.Since(v.Since) != 90*time.Second || len(v.Reasons) != 1 ||
			v.Reasons[0].Text != s.Link.State {
			t.Errorf("trust: got %+v, want none since the start", v)
		}
		if h, ok := n.trend.History("10m"); !ok || len(h.Series) != 8 || h.Series[0].Values[298] != 0 {
			t.Errorf("history: got %+v, want no frames", h)
		}
		if b := s.Boards; len(b) != 1 || b[0].Role != "rx" || b[0].Name == "" ||
			b[0].Clock != "not compared with the transmitter's now" {
			t.Errorf("boards: got %+v, want this one", b)
		}
		if l := s.Link; l.Medium != "udp" || l.State != "link: nothing received from the transmitter yet" ||
			l.LastHeartbeatAgeSeconds != nil {
			t.Errorf("link: got %+v", l)
		}
		c := s.Channels["cell"]
		if c.Protocol != "mqtt" || *c.Complete || c.AgeSeconds != nil || c.SourceState != "down" ||
			c.SourceReason != "link: nothing received from the transmitter yet; last known: connecting " {
			t.Errorf("channel: got %+v", c)
		}
		if len(s.Channels) != 2 || len(s.Transmitter) != 0 {
			t.Errorf("got channels %v, transmitter %v; want cell and log, none", s.Channels, s.Transmitter)
		}
	})
}

func TestASnapshotOfAnOpenSession(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		r.transmit(7)
		r.everything()
		r.record(record.KindTotals, (&record.Totals{
			Channel: record.ChannelID("log"), State: record.SourceDown, Seq: 3, Conflated: 2, Reason: "refused",
		}).Append(nil))
		synctest.Wait()
		s := n.Snapshot()
		if s.Clock != "transmitter's clock set" || s.Link.Epoch != 7 || s.Link.State != "" ||
			*s.Link.LastHeartbeatAgeSeconds != 0 {
			t.Errorf("got %q, link %+v", s.Clock, s.Link)
		}
		if got := time.Until(r.mqtt["cell"].PlantTime()); got != time.Hour {
			t.Errorf("plant's time for the MQTT sink: got %v ahead, want 1h", got)
		}
		cell, log := s.Channels["cell"], s.Channels["log"]
		if *cell.Sent != 2 || *cell.Delivered != 2 || *cell.Keys != 2 || !*cell.Complete || cell.SourceState != "up" ||
			*cell.AgeSeconds != 0 {
			t.Errorf("cell: got %+v", cell)
		}
		if *log.Sent != 5 || *log.Lost != 3 || *log.Conflated != 2 || log.SourceState != "down" ||
			log.SourceReason != "refused" || *log.Missed != 4 || log.MissedReason != "4 lines" ||
			cell.Missed != nil {
			t.Errorf("log: got %+v", log)
		}
		if v := s.Trust; v.Level != status.No || len(v.Reasons) == 0 || v.Reasons[0].Channel != "log" ||
			v.Reasons[0].Text != "source down: refused" {
			t.Errorf("trust: got %+v", v)
		}
		want := map[string]string{
			"version": "1.2.2", "source/cell": `{"protocol":"mqtt"}`,
			"source/log":            `{"missed":4,"missed_reason":"4 lines","protocol":"syslog"}`,
			"certificate/opcua own": "expires 2027-01-31",
		}
		got, _ := json.Marshal(s.Transmitter)
		if expected, _ := json.Marshal(want); string(got) != string(expected) {
			t.Errorf("transmitter: got %s, want %s", got, expected)
		}
		certificate := status.Certificate{Board: "tx", Name: "opcua own",
			Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)}
		certificate.DaysLeft = int(time.Until(certificate.Expires).Hours() / 24)
		if !slices.Contains(s.Certificates, certificate) {
			t.Errorf("certificates: got %+v, want %+v among them", s.Certificates, certificate)
		}
	})
}

func TestLatencyIsThatOfHeartbeats(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := r.run()
		defer r.end()
		if l := n.Snapshot().Link; l.LatencyP50Seconds != nil || l.LatencyP99Seconds != nil {
			t.Errorf("before the first: got %+v", l)
		}
		r.transmit(7)
		r.pass(99)
		r.start = r.start.Add(80 * time.Millisecond) // they come later
		r.pass(6)
		l := n.Snapshot().Link
		if p50, p99 := l.LatencyP50Seconds, l.LatencyP99Seconds; p50 == nil || *p50 != 0 || *p99 < 0.079 ||
			*p99 > 0.081 {
			t.Errorf("got %+v, want 0 and 0.08", l)
		}
		h, _ := n.trend.History("10m")
		if got := h.Series[6].Values[298]; h.Series[6].Name != "latency_p99" || got < 0.079 {
			t.Errorf("history of %s: got %v, want 0.08", h.Series[6].Name, got)
		}
		time.Sleep(time.Minute)
		if l := n.Snapshot().Link; l.LatencyP50Seconds != nil {
			t.Errorf("of a silent link: got %+v", l)
		}
	})
}

func TestPeersAreSinksWithTheirSpools(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) {
			c.Audit = config.SyslogSink{Forward: "udp://siem:514", SpoolBytes: 1 << 20}
			c.MQTT = append(c.MQTT, config.MQTTSink{Channel: "embedded", Listen: "mqtt://0.0.0.0:1883",
				SpoolBytes: 1 << 20})
		})
		n := r.run()
		defer r.end()
		r.sinks["log"].set(sink.Connecting, "connection refused")
		r.mqtt["cell"].Queue.Append([]byte("waits"))
		peers := n.Snapshot().Peers
		for i, want := range []status.Peer{
			{Channel: "cell", Name: "mqtt sink cell", State: "up", Address: "mqtt://broker:1883"},
			{Channel: "embedded", Name: "mqtt sink embedded", State: "up", Address: "mqtt://0.0.0.0:1883"},
			{Channel: "log", Name: "syslog sink log", State: "connecting", Reason: "connection refused",
				Address: "tcp://siem:601"},
			{Channel: record.Gateway, Name: "audit forward", State: "up", Address: "udp://siem:514"},
		} {
			got := peers[i]
			if got.Spool == nil || got.Spool.Limit != 1<<20 {
				t.Errorf("%s: spool: got %+v", want.Name, got.Spool)
			}
			if want.Channel == "cell" && got.Spool.Records != 1 {
				t.Errorf("cell: got %d waiting records, want 1", got.Spool.Records)
			}
			if got.Spool = nil; got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		if r.mqtt["cell"].Brokers != 1 {
			t.Errorf("got %d embedded brokers, want 1", r.mqtt["cell"].Brokers)
		}
	})
}

// Sinks publish it: the names and their order are what subscribers read.
func TestTheGatewaysStateIsJSON(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t, func(c *config.RX) { c.Syslog = nil })
		r.run()
		defer r.end()
		r.transmit(7)
		r.heartbeat(0)
		synctest.Wait()
		got := r.mqtt["cell"].Gateway()["status"]
		const want = `{"channels":{"cell":{"protocol":"mqtt","sent":0,"delivered":0,"healed":0,"conflated":0,` +
			`"lost":0,"unknown":0,"refused":0,"expired":0,"complete":false,"keys":0,"valueless_keys":0,` +
			`"source_state":"connecting","source_reason":"","holes":[],"open_holes":0,"open_records":0}},` +
			`"link":{"medium":"udp","epoch":7,"frames":2,"bytes":100,"crc_errors":0,"auth_failures":0,"replayed":0,` +
			`"repaired":0,"lost":0,"dropped":0,"last_heartbeat_age_seconds":0,"latency_p50_seconds":0,"latency_p99_seconds":0},` +
			`"pair":"press-hall","transmitter":{},"version":"1.2.3"}`
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
