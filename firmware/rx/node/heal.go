package node

import (
	"slices"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/spool"
)

// lateMQTT returns how an MQTT sink takes records late.
func lateMQTT(c config.MQTTSink) mirror.Late {
	if c.Late == config.LateDrop {
		return mirror.None
	}
	return mirror.InOrder
}

// roomForLate returns whether a spool has room for records that come late: they come far
// faster than a peer takes them, and half of it is for those of the present.
func roomForLate(q *spool.Queue) func() bool {
	return func() bool { s := q.Stats(); return s.Bytes < s.Limit/2 }
}

// showHoles adds what is missing of a channel, and what was healed.
func showHoles(s *status.Channel, c pipeline.ChannelStatus) {
	open := uint64(0)
	s.Healed, s.HealedEver = status.Of(min(c.Healed, c.Delivered)), status.Of(c.Healed)
	s.Holes = []status.Hole{}
	for _, h := range slices.Backward(c.Holes) {
		if !h.Final {
			open++
		}
		if len(s.Holes) < status.MaxHoles {
			s.Holes = append(s.Holes, status.Hole{
				From: h.From.UTC(), To: h.To.UTC(), Records: h.Records, Final: h.Final,
			})
		}
	}
	s.OpenHoles, s.OpenRecords = &open, status.Of(c.Open)
}

// replayStatus returns what the transmitter sends again: of the channel whose window
// is the shortest, nil as long as it has not said so.
func replayStatus(channels []pipeline.ChannelStatus) (r *status.Replay) {
	for _, c := range channels {
		if c.Replay == nil || r != nil && r.WindowSeconds <= c.Replay.Reach.Seconds() {
			continue
		}
		r = &status.Replay{WindowSeconds: c.Replay.Reach.Seconds()}
		if c.Replay.Pass > 0 {
			r.PassSeconds = status.Of(c.Replay.Pass.Seconds())
		}
	}
	return r
}
