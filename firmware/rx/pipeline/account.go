package pipeline

import (
	"heliograph/firmware/conduit/record"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/rx/mirror"
)

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
		before := a.Channels[c.name]
		if before.Epoch == 0 { // of an earlier release
			before.Epoch = a.Epoch
		}
		c.mirror.Resume(before, a.Exact)
	}
}

// maxHoles is how many bytes the holes of all channels take in an account.
const maxHoles = 24 << 10

// ManyHoles returns the holes of the channels that have more than an account has
// room for, by channel, for the account of a run that ends.
func (l *Link) ManyHoles() map[string][]byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	many := map[string][]byte{}
	for _, c := range l.channels {
		if b := c.mirror.AppendHoles(nil); len(b) > maxHoles/len(l.channels) {
			many[c.name] = b
		}
	}
	return many
}

// Account returns what the next run is to take over. Before the first session nothing
// arrives, and the account of the run before goes on: what its sinks' peers did not take
// since is counted, and it stays as exact as it was. With a session Exact is the caller's
// to set, at the end.
func (l *Link) Account() Account {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := Account{Epoch: l.before.Epoch, Exact: l.before.Exact, Channels: map[string]mirror.Account{}}
	for _, c := range l.channels {
		volatile := uint64(0)
		if c.volatile != nil {
			volatile = c.volatile() // before settle: what is dropped in between is in one of both at least
		}
		c.settle()
		a.Channels[c.name] = c.mirror.Account(volatile, maxHoles/len(l.channels))
	}
	return a
}

// SetKeys sets the pair keys with which sessions are opened from now on.
func (l *Link) SetKeys(keys ...wire.PairKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opener.SetKeys(keys...)
}

// Key returns the pair key of the present session; ok is false without one.
func (l *Link) Key() (key wire.PairKey, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.opener.Key()
}

// Sequence returns how far the present session has come; ok is false without one.
func (l *Link) Sequence() (epoch, highest uint64, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.opener.Sequence()
}

// Recall gives a channel the keys that the run before had. To be called before Run.
func (l *Link) Recall(channel string, keys [][]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.channels[record.ChannelID(channel)].mirror.Recall(keys)
}

// Keys returns a channel's keys, and a number that changes with their set.
func (l *Link) Keys(channel string) (keys [][]byte, set uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.channels[record.ChannelID(channel)].mirror.Keys()
}
