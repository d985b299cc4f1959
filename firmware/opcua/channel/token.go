package channel

import (
	"sync"
	"time"
)

// token is one security token with its keys.
type token struct {
	id       uint32
	created  time.Time
	lifetime time.Duration
	send     *direction
	receive  *direction
}

// end is when its messages are no longer accepted: 25 % after its lifetime (OPC 10000-4
// §5.6.2).
func (t *token) end() time.Time { return t.created.Add(t.lifetime + t.lifetime/4) }

// tokens holds the token in use and, around a renewal, the one before or after it.
//
// A server uses a new token once the client has used it: until then it sends with the old
// one, unless that has expired. A client uses it at once, and accepts the old one until its
// end.
type tokens struct {
	mu     sync.Mutex
	client bool
	use    *token
	other  *token // server: issued and not yet used; client: the one before
}

func (t *tokens) add(n *token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.use == nil:
		t.use = n
	case t.client:
		t.other, t.use = t.use, n
	default:
		// A client that renews again has the previous one and may be sending with it, although
		// no chunk under it has been received yet.
		if t.other != nil {
			t.use = t.other
		}
		t.other = n
	}
}

// receiving returns the token of an incoming chunk, or nil.
func (t *tokens) receiving(id uint32, now time.Time) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range [...]*token{t.use, t.other} {
		if k != nil && k.id == id && now.Before(k.end()) {
			return k
		}
	}
	return nil
}

// markUsed notes that a chunk under k has been verified. A server switches to it.
func (t *tokens) markUsed(k *token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.client && k == t.other {
		t.use, t.other = k, nil
	}
}

// sending returns the token to send with, or nil when all have expired.
func (t *tokens) sending(now time.Time) *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.use
	if !t.client && t.other != nil && !now.Before(k.created.Add(k.lifetime)) {
		k = t.other
	}
	if k == nil || !now.Before(k.end()) {
		return nil
	}
	return k
}

// end is when the last token ends.
func (t *tokens) end() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	var end time.Time
	for _, k := range [...]*token{t.use, t.other} {
		if k != nil && k.end().After(end) {
			end = k.end()
		}
	}
	return end
}

// newest is the token issued last.
func (t *tokens) newest() *token {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.client && t.other != nil {
		return t.other
	}
	return t.use
}
