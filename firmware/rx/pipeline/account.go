package pipeline

import "heliograph/firmware/rx/mirror"

// Account is what outlives a run: per channel what was counted, and up to where.
type Account struct {
	Epoch    uint64
	Exact    bool // the run ended in order; otherwise it may have delivered more
	Channels map[string]mirror.Account
}

// Resume takes over the account of the run before. To be called after the
// channels were added and before Run.
func (l *Link) Resume(a Account) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = a
	for _, c := range l.channels {
		c.mirror.Resume(a.Channels[c.name])
	}
}

// Account returns what the next run is to take over.
func (l *Link) Account() Account {
	l.mu.RLock()
	defer l.mu.RUnlock()
	a := Account{Channels: map[string]mirror.Account{}}
	a.Epoch, _, _, _ = l.opener.Sequence()
	for _, c := range l.channels {
		a.Channels[c.name] = c.mirror.Account()
	}
	return a
}

// Sequence returns how far the present session has come; ok is false without one.
func (l *Link) Sequence() (epoch, highest uint64, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	epoch, _, highest, ok = l.opener.Sequence()
	return epoch, highest, ok
}
