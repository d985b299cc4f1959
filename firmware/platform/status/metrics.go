package status

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"heliograph/firmware/platform/counter"
	"heliograph/firmware/platform/machine"
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
	build, up, ready, trust, clock,
	version, trial, update, certificate, diskSize, diskFree, temperature, supply, boardUp, clients,
	peer, spoolBytes, spoolLimit, spoolRecords, spoolDropped, spoolDamaged, spoolGaps *prometheus.Desc
	spoolUnreadable *prometheus.Desc
	channelMetrics
	linkMetrics
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("heliograph_"+name, help, labels, nil)
}

func newCollector(snapshot func() Snapshot) *collector {
	return &collector{
		snapshot: snapshot,
		build:    desc("build_info", "Always 1; the labels say what runs.", "role", "pair", "version"),
		up:       desc("process_uptime_seconds", "Since the role started."),
		ready:    desc("role_ready", "1 when /readyz answers 200."),
		trust:    desc("trust_level", "1 for whether the numbers can be trusted: yes, partly or no.", "level"),
		clock:    desc("clock_set", "1 when the transmitter's clock is the time of day."),
		certificate: desc("certificate_expires_timestamp_seconds", "When the certificate ends, since 1970.", "board",
			"name"),
		temperature:  desc("board_temperature_celsius", "Of the processor.", "board"),
		supply:       desc("board_supply_state", "1 for the state of the supply.", "board", "state"),
		boardUp:      desc("board_uptime_seconds", "Since the machine started.", "board"),
		clients:      desc("server_connected_clients", "Clients of the mirrors and built-in brokers."),
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
		spoolDropped: desc("spool_dropped_records_total",
			"Oldest records of a full spool dropped.", "channel", "peer"),
		spoolDamaged: desc("spool_damaged_records_total",
			"Records of the spool lost because its files are damaged.", "channel", "peer"),
		spoolUnreadable: desc("spool_unreadable_files_total", "Files of the spool that could not be read "+
			"after a crash.", "channel", "peer"),
		channelMetrics: newChannelMetrics(), linkMetrics: newLinkMetrics(),
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
		c.collectChannel(e, name, ch)
	}
	if s.Trust != nil {
		for _, level := range []Level{Yes, Partly, No} {
			e.gauge(c.trust, number(s.Trust.Level == level), string(level))
		}
	}
	if s.ClockSet != nil {
		e.gauge(c.clock, number(*s.ClockSet))
	}
	c.collectLink(e, s.Link, s.Measurement)
	c.collectReplay(e, s.Replay)
	c.collectPeers(e, s.Peers)
	c.collectBoard(e, s)
	for _, set := range s.Counters {
		e.set(set)
	}
}

// collectBoard collects what is on the board: certificates, release, disk, and how the
// machine does.
func (c *collector) collectBoard(e emitter, s Snapshot) {
	if s.Role == "rx" {
		e.gauge(c.clients, float64(len(s.Clients)+s.ClientsMore))
	}
	for _, b := range s.Boards {
		if b.Temperature != nil {
			e.gauge(c.temperature, *b.Temperature, b.Role)
		}
		if b.UptimeSeconds > 0 {
			e.gauge(c.boardUp, b.UptimeSeconds, b.Role)
		}
		if b.Supply == "" {
			continue
		}
		e.gauge(c.supply, number(b.Supply == machine.Fine), b.Role, "ok")
		e.gauge(c.supply, number(b.Supply == machine.LowNow), b.Role, "low")
		e.gauge(c.supply, number(b.Supply == machine.LowBefore), b.Role, "was_low")
	}
	shown := map[Certificate]bool{} // a label that came twice would make all of /metrics an error
	for _, crt := range s.Certificates {
		if of := (Certificate{Board: crt.Board, Name: crt.Name}); !shown[of] {
			shown[of] = true
			e.gauge(c.certificate, float64(crt.Expires.Unix()), crt.Board, crt.Name)
		}
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
			e.counter(c.spoolDamaged, &p.Spool.Damaged, p.Channel, p.Name)
			e.counter(c.spoolUnreadable, &p.Spool.Unreadable, p.Channel, p.Name)
		}
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

// histogram emits nothing where the sum is not known, which the format requires.
func (e emitter) histogram(d *prometheus.Desc, h Histogram, labels ...string) {
	if h.Sum == nil || len(h.Counts) != len(h.Bounds)+1 {
		return
	}
	var count uint64
	buckets := make(map[float64]uint64, len(h.Bounds)) // each has all up to its bound
	for i, bound := range h.Bounds {
		count += h.Counts[i]
		buckets[bound] = count
	}
	count += h.Counts[len(h.Bounds)]
	e.out <- prometheus.MustNewConstHistogram(d, count, *h.Sum, buckets, labels...)
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
