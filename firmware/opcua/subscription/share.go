package subscription

import "net/netip"

// home is what the sessions of one address hold together, guarded by the engine's lock.
type home struct {
	sessions int
	account  account
}

// guarantee is what an address may hold whatever the others do, bytes. With as many
// addresses as there may be sessions that is 32 MiB beyond what all may hold.
const guarantee = 64 << 10

// home returns an address's, nil for the zero Addr. Homes that hold nothing any more go
// when there are many.
func (e *Engine) home(a netip.Addr) *home {
	if !a.IsValid() {
		return nil
	}
	h := e.homes[a]
	if h == nil {
		const many = 1000
		if len(e.homes) >= many {
			for other, h := range e.homes {
				if h.sessions == 0 && h.account.held.Load() == 0 {
					delete(e.homes, other)
				}
			}
		}
		h = &home{account: account{of: &e.total, most: e.cfg.Limits.HeldPerAddress, sure: guarantee}}
		e.homes[a] = h
	}
	return h
}

// ofAddress returns how many subscriptions and items an address has.
func (e *Engine) ofAddress(a netip.Addr) (subscriptions, items int) {
	if !a.IsValid() {
		return 0, 0
	}
	for _, s := range e.subs {
		if s.client.Address == a {
			subscriptions++
			items += len(s.items)
		}
	}
	return subscriptions, items
}
