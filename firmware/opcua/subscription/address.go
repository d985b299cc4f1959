package subscription

import "net/netip"

// addressShare is the memory of all sessions of one address, guarded by the engine's lock.
type addressShare struct {
	sessions int
	account  account
}

// addressGuarantee is what an address may hold even if the total is reached, bytes. With as
// many addresses as there may be sessions that is 32 MiB beyond the total.
const addressGuarantee = 64 << 10

// addressShare returns an address's, nil for the zero Addr. When there are many, those that
// hold nothing are removed.
func (e *Engine) addressShare(a netip.Addr) *addressShare {
	if !a.IsValid() {
		return nil
	}
	h := e.addresses[a]
	if h == nil {
		const many = 1000
		if len(e.addresses) >= many {
			for other, h := range e.addresses {
				if h.sessions == 0 && h.account.held.Load() == 0 {
					delete(e.addresses, other)
				}
			}
		}
		h = &addressShare{account: account{parent: &e.total, limit: e.cfg.Limits.HeldPerAddress,
			guaranteed: addressGuarantee}}
		e.addresses[a] = h
	}
	return h
}

// countOf returns how many subscriptions and items an address has.
func (e *Engine) countOf(a netip.Addr) (subscriptions, items int) {
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
