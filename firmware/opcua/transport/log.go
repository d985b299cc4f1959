package transport

import (
	"log/slog"
	"sync"
	"time"
)

// LimitedLog writes at most ten lines a second, and the number of lines it dropped, so that
// refused peers cannot fill a disk. Its methods are safe for concurrent use.
type LimitedLog struct {
	log    *slog.Logger
	mu     sync.Mutex
	second time.Time
	lines  int
}

// NewLimitedLog returns one that writes to log.
func NewLimitedLog(log *slog.Logger) *LimitedLog { return &LimitedLog{log: log} }

// Warn writes a line unless there were too many.
func (l *LimitedLog) Warn(text string, args ...any) {
	const perSecond = 10
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.second) >= time.Second {
		if l.lines > perSecond {
			l.log.Warn("similar lines not logged", "lines", l.lines-perSecond)
		}
		l.second, l.lines = now, 0
	}
	if l.lines++; l.lines <= perSecond {
		l.log.Warn(text, args...)
	}
}
