package status

import "github.com/prometheus/client_golang/prometheus"

// channelMetrics are those of each channel.
type channelMetrics struct {
	sent, delivered, healed, conflated, lost, unknown, openHoles, openRecords, refused, expired, dropped, missed,
	complete,
	age, queued, keys, valueless, state, source *prometheus.Desc
}

func newChannelMetrics() channelMetrics {
	return channelMetrics{
		sent: desc("channel_sent_records_total", "Records that TX sent.", "channel"),
		delivered: desc("channel_delivered_records_total",
			"Records that reached their sink, or its spool; also those that its peer refused, or that expired, since.",
			"channel"),
		conflated: desc("channel_conflated_records_total", "Intermediate values skipped under saturation.",
			"channel"),
		healed: desc("channel_healed_records_total", "Records that were missing before they reached their sink.",
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
		dropped: desc("channel_dropped_records_total", "Events dropped by a full queue on TX.", "channel"),
		missed: desc("channel_missed_records_total", "Lines, messages and events that were lost before TX's link.",
			"channel"),
		complete: desc("channel_complete", "1 when RX holds the complete snapshot.", "channel"),
		age:      desc("channel_age_seconds", "Since the newest record.", "channel"),
		keys:     desc("channel_live_keys", "Keys of live state.", "channel"),
		state:    desc("channel_state_bytes", "What the newest values of all keys take on TX.", "channel"),
		valueless: desc("channel_valueless_keys", "Keys on RX whose values its [memory] has no room for.",
			"channel"),
		source: desc("channel_source_up", "1 when the source in the plant is up.", "channel"),
		queued: desc("channel_queued_bytes", "Bytes of records that wait for the line.", "channel"),
	}
}

func (c channelMetrics) collectChannel(e emitter, name string, ch Channel) {
	e.counter(c.sent, ch.Sent, name)
	e.counter(c.delivered, ch.reached(), name)
	e.counter(c.healed, ch.HealedEver, name)
	e.counter(c.conflated, ch.Conflated, name)
	e.counter(c.refused, ch.Refused, name)
	e.counter(c.expired, ch.Expired, name)
	e.counter(c.dropped, ch.Dropped, name)
	e.counter(c.missed, ch.Missed, name)
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

// linkMetrics are those of the link, and of what is sent again on it.
type linkMetrics struct {
	frames, bytes, crc, auth, replayed, repaired, linkLost, linkDropped, expected, missing, late, delay, heartbeat,
	window, pass *prometheus.Desc
}

func newLinkMetrics() linkMetrics {
	return linkMetrics{
		frames:   desc("link_frames_total", "Frames sent (TX) or accepted (RX)."),
		bytes:    desc("link_bytes_total", "Bytes of those frames."),
		crc:      desc("link_crc_errors_total", "Frames damaged on the way."),
		auth:     desc("link_auth_failures_total", "Frames of a wrong key or a forger."),
		replayed: desc("link_replayed_frames_total", "Frames seen before."),
		repaired: desc("link_repaired_frames_total", "Frames restored from parity."),
		linkLost: desc("link_lost_frames_total", "Frames beyond repair."),
		linkDropped: desc("link_dropped_frames_total",
			"Frames that the kernel dropped because this program was too slow; UDP frames in a run count once."),
		expected: desc("link_expected_frames_total", "Frames sent to RX, by their sequence numbers."),
		missing:  desc("link_missing_frames_total", "Of the frames expected, those that had not come in time."),
		late:     desc("link_late_frames_total", "Of the frames missing, those that came after all."),
		delay: desc("link_delay_seconds", "Histogram of how much later than the quickest one of late heartbeats "+
			"came."),
		heartbeat: desc("link_heartbeat_age_seconds", "Since the last heartbeat."),
		window:    desc("replay_window_seconds", "Everything that left within them can be sent again."),
		pass:      desc("replay_pass_seconds", "That the last pass over the window took."),
	}
}

func (c linkMetrics) collectLink(e emitter, l Link, m *Measurement) {
	if m != nil {
		e.counter(c.expected, &m.Expected)
		e.counter(c.missing, &m.Missing)
		e.counter(c.late, &m.Late)
		e.histogram(c.delay, m.Delay)
	}
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

func (c linkMetrics) collectReplay(e emitter, r *Replay) {
	if r == nil {
		return
	}
	e.gauge(c.window, r.WindowSeconds)
	if r.PassSeconds != nil {
		e.gauge(c.pass, *r.PassSeconds)
	}
}
