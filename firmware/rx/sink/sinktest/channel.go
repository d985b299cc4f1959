// Package sinktest is a fake of the link for tests of sinks: a Channel has the
// state that the test sets and records what its sink accounts for. It refuses to
// know any protocol.
package sinktest

import (
	"slices"
	"sync"

	"heliograph/firmware/rx/sink"
)

// Channel is a sink.Channel. The zero value is ready: without state, every key
// confirmed, and complete with its source up. Safe for concurrent use.
type Channel struct {
	mu          sync.Mutex
	keys        []string // oldest first
	newest      map[string][]byte
	unconfirmed map[string]bool
	health      *sink.Health // nil: complete, and the source is up
	refused     uint64
	expired     uint64
}

// Set makes payload the newest value of a key.
func (c *Channel) Set(key string, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest == nil {
		c.newest = map[string][]byte{}
	}
	if _, known := c.newest[key]; !known {
		c.keys = append(c.keys, key)
	}
	c.newest[key] = payload
}

// Delete removes a key.
func (c *Channel) Delete(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.newest, key)
	c.keys = slices.DeleteFunc(c.keys, func(k string) bool { return k == key })
}

// SetConfirmed sets what Confirmed returns for a key.
func (c *Channel) SetConfirmed(key string, confirmed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unconfirmed == nil {
		c.unconfirmed = map[string]bool{}
	}
	c.unconfirmed[key] = !confirmed
}

// SetHealth sets what Health returns.
func (c *Channel) SetHealth(h sink.Health) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health = &h
}

// Range calls f with every live key and its newest payload until f returns false.
func (c *Channel) Range(f func(key, payload []byte) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.keys {
		if !f([]byte(k), c.newest[k]) {
			return
		}
	}
}

// Confirmed reports whether a key is confirmed.
func (c *Channel) Confirmed(key []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.unconfirmed[string(key)]
}

// Health returns what SetHealth was called with last.
func (c *Channel) Health() sink.Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health == nil {
		return sink.Health{Complete: true, Totals: 1, State: sink.Up}
	}
	return *c.health
}

// Refused implements sink.Account.
func (c *Channel) Refused(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused += n
}

// Expired implements sink.Account.
func (c *Channel) Expired(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expired += n
}

// RefusedTotal returns how many records the sink has moved to refused.
func (c *Channel) RefusedTotal() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// ExpiredTotal returns how many records the sink has moved to expired.
func (c *Channel) ExpiredTotal() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.expired
}
