package pipeline

import (
	"time"

	"heliograph/firmware/conduit/record"
)

// healing is the work on pages of records that are sent again. Live records are
// received in between, and do not wait for more than a page.
type healing struct {
	reader record.ReplayReader
	next   int // channel whose turn it is, until its page is done
	credit time.Duration
	at     time.Time // when credit was counted last
}

// Our own bounds.
const (
	maxWaiting = 4 << 20                // bytes of pages that wait, of all channels
	healPause  = 200 * time.Microsecond // that the line is listened to between two pages
	healShare  = 2                      // one part of so many of the time goes into pages
	healAtOnce = time.Millisecond       // … at once
)

// noticing passes payloads on and notices what cannot be decoded.
func (l *Link) noticing(payload func([]byte)) func([]byte) {
	return func(b []byte) {
		malformed, skipped := l.decoded.Malformed, l.decoded.Skipped
		if payload(b); l.decoded.Malformed != malformed || l.decoded.Skipped != skipped {
			l.missReplay()
		}
	}
}

// missReplay notes that pages may be missing before the next one.
func (l *Link) missReplay() {
	for _, c := range l.channels {
		c.mirror.MissReplay()
	}
}

func (l *Link) handleReplay(body []byte) error {
	var p record.Replay
	if err := p.Parse(body); err != nil {
		return err
	}
	l.counts.Pages++
	c := l.channels[p.Channel]
	if c == nil {
		return nil // its live records are counted
	}
	if c.defersLate() {
		c.mirror.MissReplay()
		return nil
	}
	return c.mirror.Replay(&p, body)
}

func (l *Link) handleWindow(body []byte) error {
	var w record.Window
	err := w.Parse(body)
	if c := l.channels[w.Channel]; err == nil && c != nil {
		c.mirror.At(l.now.UnixNano())
		c.mirror.Window(&w)
	}
	return err
}

// receiveTime returns how long to wait for frames.
func (l *Link) receiveTime() time.Duration {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.waiting() != nil {
		return healPause
	}
	return idleAfter
}

// waiting returns the channel whose page is to be worked on, nil for none. The caller
// holds mu.
func (l *Link) waiting() *Channel {
	for range l.names {
		c := l.channels[record.ChannelID(l.names[l.healing.next%len(l.names)])]
		if c.mirror.Waits() && !c.defersLate() {
			return c
		}
		l.healing.next++
	}
	return nil
}

// heal works on pages for as long as it may.
func (l *Link) heal() {
	h := &l.healing
	began := time.Now()
	h.credit = min(h.credit+began.Sub(h.at)/healShare, healAtOnce)
	h.at = began
	for h.credit > 0 && l.healPage() {
		now := time.Now()
		h.credit -= now.Sub(h.at)
		h.at = now
	}
}

// healPage works on one page, and reports whether there was one.
func (l *Link) healPage() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.waiting()
	if c == nil {
		return false
	}
	more, err := c.mirror.Heal(&l.healing.reader)
	if err != nil {
		l.decoded.Malformed++
	}
	if !more {
		l.healing.next++
	}
	return true
}
