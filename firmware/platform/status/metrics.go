package status

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/release"
)

func (s *Server) metrics() http.Handler {
	return promhttp.HandlerFor(s.Metrics(), promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: requestTimeout})
}

// Metrics returns what /metrics shows: a registry of its own, so that no library adds to it.
func (s *Server) Metrics() prometheus.Gatherer {
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(s.snapshot), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// collector turns the same snapshot that /status.json shows into metrics.
type collector struct {
	snapshot func() Snapshot
	build, up, ready,
	sent, delivered, healed, conflated, lost, unknown, openHoles, openRecords, refused, expired, dropped, complete, age,
	keys, valueless, state, source,
	frames, bytes, crc, auth, replayed, repaired, linkLost, linkDropped, heartbeat, window, pass,
	version, trial, update, certificate, diskSize, diskFree,
	peer, spoolBytes, spoolLimit, spoolRecords, spoolDropped, spoolGaps, queued *prometheus.Desc
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("heliograph_"+name, help, labels, nil)
}

func newCollector(snapshot func() Snapshot) *collector {
	return &collector{
		snapshot:  snapshot,
		build:     desc("build_info", "Always 1; the labels say what runs.", "role", "pair", "version"),
		up:        desc("process_uptime_seconds", "Since the role started."),
		ready:     desc("role_ready", "1 when /readyz answers 200."),
		sent:      desc("channel_sent_records_total", "Records that TX sent.", "channel"),
		delivered: desc("channel_delivered_records_total", "Records that RX delivered.", "channel"),
		conflated: desc("channel_conflated_records_total", "Intermediate values skipped under saturation.",
			"channel"),
		healed: desc("channel_healed_records_total", "Of the records delivered, those that were missing before.",
			"channel"),
		openHoles:   desc("channel_open_holes", "Holes whose records can still arrive.", "channel"),
		openRecords: desc("channel_open_records", "Records lost or unknown that can still arrive.", "channel"),
		lost: desc("channel_lost_records", "Records that are missing now; those that heal are taken off.",
			"channel"),
		unknown: desc("channel_unknown_records",
			"Records sent whose outcome is not known now.", "channel"),
		refused: desc("channel_refused_records_total",
			"Records that were not taken: by the sink's peer (RX), or by the link because they are too large or "+
				"too many (TX).", "channel"),
		expired: desc("channel_expired_records_total",
			"Records whose time was over before the sink's peer took them.", "channel"),
		dropped:  desc("channel_dropped_records_total", "Events dropped by a full queue on TX.", "channel"),
		complete: desc("channel_complete", "1 when RX holds the complete snapshot.", "channel"),
		age:      desc("channel_age_seconds", "Since the newest record.", "channel"),
		keys:     desc("channel_live_keys", "Keys of live state.", "channel"),
		state:    desc("channel_state_bytes", "What the newest values of all keys take on TX.", "channel"),
		valueless: desc("channel_valueless_keys", "Keys on RX whose values its [memory] has no room for.",
			"channel"),
		source:   desc("channel_source_up", "1 when the source in the plant is up.", "channel"),
		frames:   desc("link_frames_total", "Frames sent (TX) or accepted (RX)."),
		bytes:    desc("link_bytes_total", "Bytes of those frames."),
		crc:      desc("link_crc_errors_total", "Frames damaged on the way."),
		auth:     desc("link_auth_failures_total", "Frames of a wrong key or a forger."),
		replayed: desc("link_replayed_frames_total", "Frames seen before."),
		repaired: desc("link_repaired_frames_total", "Frames restored from parity."),
		linkLost: desc("link_lost_frames_total", "Frames beyond repair."),
		linkDropped: desc("link_dropped_frames_total",
			"Frames that the kernel dropped because this program was too slow; UDP frames in a run count once."),
		heartbeat: desc("link_heartbeat_age_seconds", "Since the last heartbeat."),
		window:    desc("replay_window_seconds", "Everything that left within them can be sent again."),
		pass:      desc("replay_pass_seconds", "That the last pass over the window took."),
		certificate: desc("certificate_expires_timestamp_seconds", "When the certificate ends, since 1970.", "board",
			"name"),
		diskSize:     desc("disk_size_bytes", "Of the disk of the state."),
		diskFree:     desc("disk_free_bytes", "That the role may still write on the disk of the state."),
		version:      desc("release_version_number", "Of the release that the board runs."),
		trial:        desc("release_trial", "1 while that release is on trial."),
		update:       desc("update_result", "1 for what became of the last update.", "result"),
		peer:         desc("peer_up", "1 when the source or sink has its peer.", "channel", "peer"),
		spoolBytes:   desc("spool_fill_bytes", "What waits on disk.", "channel", "peer"),
		spoolLimit:   desc("spool_limit_bytes", "What may wait on disk.", "channel", "peer"),
		spoolRecords: desc("spool_waiting_records", "Records that wait for the peer.", "channel", "peer"),
		spoolGaps: desc("spool_gaps_total", "Times that records of the spool may be missing, after a crash or "+
			"damage.", "channel", "peer"),
		queued:       desc("channel_queued_bytes", "Bytes of records that wait for the line.", "channel"),
		spoolDropped: desc("spool_dropped_records_total", "Oldest records of a full spool dropped.", "channel", "peer"),
	}
}

// Describe sends nothing: which metrics there are depends on the role.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect takes one snapshot, so that all values are of one moment.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot()
	e := emitter{out}
	e.gauge(c.build, 1, s.Role, s.Pair, s.Version)
	e.gauge(c.up, s.UptimeSeconds)
	e.gauge(c.ready, number(s.Ready))
	for name, ch := range s.Channels {
		e.counter(c.sent, ch.Sent, name)
		e.counter(c.delivered, ch.Delivered, name)
		e.counter(c.healed, ch.Healed, name)
		e.counter(c.conflated, ch.Conflated, name)
		e.counter(c.refused, ch.Refused, name)
		e.counter(c.expired, ch.Expired, name)
		e.counter(c.dropped, ch.Dropped, name)
		e.level(c.lost, ch.Lost, name)
		e.level(c.unknown, ch.Unknown, name)
		e.level(c.openHoles, ch.OpenHoles, name)
		e.level(c.openRecords, ch.OpenRecords, name)
		e.level(c.queued, ch.QueuedBytes, name)
		e.level(c.keys, ch.Keys, name)
		e.level(c.state, ch.StateBytes, name)
		e.level(c.valueless, ch.Valueless, name)
		if ch.Complete != nil {
			e.gauge(c.complete, number(*ch.Complete), name)
		}
		if ch.AgeSeconds != nil {
			e.gauge(c.age, *ch.AgeSeconds, name)
		}
		e.gauge(c.source, number(ch.SourceState == "up"), name)
	}
	c.collectLink(e, s.Link)
	c.collectReplay(e, s.Replay)
	c.collectPeers(e, s.Peers)
	c.collectBoard(e, s)
	for _, set := range s.Counters {
		e.set(set)
	}
}

// collectBoard collects what is on the board: certificates, release, disk.
func (c *collector) collectBoard(e emitter, s Snapshot) {
	for _, crt := range s.Certificates {
		e.gauge(c.certificate, float64(crt.Expires.Unix()), crt.Board, crt.Name)
	}
	if r := s.Release; r != nil {
		e.gauge(c.version, float64(r.Version))
		e.gauge(c.trial, number(r.OnTrial))
		for _, result := range release.Results() {
			e.gauge(c.update, number(r.Update != nil && r.Update.Result == result), string(result))
		}
	}
	if d := s.Disk; d != nil {
		e.gauge(c.diskSize, float64(d.Bytes))
		e.gauge(c.diskFree, float64(d.Free))
	}
}

func (c *collector) collectPeers(e emitter, peers []Peer) {
	for _, p := range peers {
		e.gauge(c.peer, number(p.State == "up"), p.Channel, p.Name)
		if p.Spool != nil {
			e.gauge(c.spoolBytes, float64(p.Spool.Bytes), p.Channel, p.Name)
			e.gauge(c.spoolLimit, float64(p.Spool.Limit), p.Channel, p.Name)
			e.gauge(c.spoolRecords, float64(p.Spool.Records), p.Channel, p.Name)
			e.counter(c.spoolGaps, &p.Spool.Gaps, p.Channel, p.Name)
			e.counter(c.spoolDropped, &p.Spool.Dropped, p.Channel, p.Name)
		}
	}
}

func (c *collector) collectLink(e emitter, l Link) {
	e.counter(c.frames, &l.Frames)
	e.counter(c.bytes, &l.Bytes)
	e.counter(c.crc, l.CRCErrors)
	e.counter(c.auth, l.AuthFailures)
	e.counter(c.replayed, l.Replayed)
	e.counter(c.repaired, l.Repaired)
	e.counter(c.linkLost, l.Lost)
	e.counter(c.linkDropped, l.Dropped)
	if l.LastHeartbeatAgeSeconds != nil {
		e.gauge(c.heartbeat, *l.LastHeartbeatAgeSeconds)
	}
}

func (c *collector) collectReplay(e emitter, r *Replay) {
	if r == nil {
		return
	}
	e.gauge(c.window, r.WindowSeconds)
	if r.PassSeconds != nil {
		e.gauge(c.pass, *r.PassSeconds)
	}
}

type emitter struct{ out chan<- prometheus.Metric }

func (e emitter) gauge(d *prometheus.Desc, v float64, labels ...string) {
	e.out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

// counter emits nothing for an unknown value.
func (e emitter) counter(d *prometheus.Desc, v *uint64, labels ...string) {
	if v != nil {
		e.out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(*v), labels...)
	}
}

// level is counter for what may fall.
func (e emitter) level(d *prometheus.Desc, v *uint64, labels ...string) {
	if v != nil {
		e.gauge(d, float64(*v), labels...)
	}
}

// set emits the counters of a part: heliograph_PART_NAME[_total].
func (e emitter) set(s counter.Set) {
	var names, values []string
	if s.Channel != "" {
		names, values = []string{"channel"}, []string{s.Channel}
	}
	for _, v := range s.Values {
		name := "heliograph_" + s.Part + "_" + v.Name
		if v.Gauge {
			e.gauge(prometheus.NewDesc(name, v.Help, names, nil), float64(v.Value), values...)
			continue
		}
		e.counter(prometheus.NewDesc(name+"_total", v.Help, names, nil), &v.Value, values...)
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
