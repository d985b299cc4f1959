package channel

import (
	"log/slog"
	"sync"
	"time"
)

// renewLimit bounds how often a client makes us use the private key.
type renewLimit struct {
	every time.Duration
	free  float64
	last  time.Time
}

func newRenewLimit(shortest time.Duration) *renewLimit {
	return &renewLimit{every: min(renewEvery, shortest/2), free: renewBurst, last: time.Now()}
}

func (l *renewLimit) allow(now time.Time) bool {
	l.free = min(renewBurst, l.free+float64(now.Sub(l.last))/float64(l.every))
	l.last = now
	if l.free < 1 {
		return false
	}
	l.free--
	return true
}

// LimitedLog writes at most ten lines a second and says how many it kept back: those
// who are refused do not fill a card. Its methods are safe for concurrent use.
type LimitedLog struct {
	log    *slog.Logger
	mu     sync.Mutex
	second time.Time
	lines  int
}

// NewLimitedLog returns one that writes to log.
func NewLimitedLog(log *slog.Logger) *LimitedLog { return &LimitedLog{log: log} }

// Warn writes a line, unless there were too many.
func (l *LimitedLog) Warn(text string, args ...any) {
	const perSecond = 10
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.second) >= time.Second {
		if l.lines > perSecond {
			l.log.Warn("opcua: more of these were not logged", "lines", l.lines-perSecond)
		}
		l.second, l.lines = now, 0
	}
	if l.lines++; l.lines <= perSecond {
		l.log.Warn(text, args...)
	}
}
