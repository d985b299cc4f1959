package pipeline

import (
	"context"
	"log/slog"
	"time"
)

// watch is what the log has of a channel's holes.
type watch struct {
	open            bool
	at              time.Time // of the last line that one has opened
	healed, missing uint64    // by then
}

// Our own bounds.
const (
	watchEvery = time.Second
	logEvery   = time.Minute // that a hole has opened, of one channel
)

// watchHoles logs when records are missing that may still arrive, and what became of
// them. The caller holds mu.
func (l *Link) watchHoles(now time.Time) {
	if now.Sub(l.watchedAt) < watchEvery {
		return
	}
	l.watchedAt = now
	for _, c := range l.channels {
		w, open, st := &c.watch, c.mirror.Open(), c.mirror.Status()
		log := l.log.With("channel", c.name)
		switch {
		case open > 0 && !w.open && (w.at.IsZero() || now.Sub(w.at) >= logEvery):
			*w = watch{open: true, at: now, healed: st.Healed, missing: st.Lost + st.Unknown - open}
			log.Warn("hole opened; what the transmitter sends again fills it", "records", open)
		case open == 0 && w.open:
			w.open = false
			missing := st.Lost + st.Unknown
			missing -= min(w.missing, missing)
			level := slog.LevelInfo
			if missing > 0 {
				level = slog.LevelWarn
			}
			log.Log(context.Background(), level, "hole closed", "healed", st.Healed-min(w.healed, st.Healed),
				"lost_or_unknown", missing)
		}
	}
}
