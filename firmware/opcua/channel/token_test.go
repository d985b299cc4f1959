package channel

import (
	"testing"
	"time"
)

func TestTokensSwitchAtRenewal(t *testing.T) {
	start := time.Unix(1e9, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	issue := func(id uint32, s int) *token { return &token{id: id, created: at(s), lifetime: 100 * time.Second} }
	want := func(t *testing.T, k *tokens, s int, sending uint32, received ...uint32) {
		t.Helper()
		var got uint32
		if n := k.sending(at(s)); n != nil {
			got = n.id
		}
		if got != sending {
			t.Errorf("at %d s: sends with %d, want %d", s, got, sending)
		}
		for id := uint32(1); id < 5; id++ {
			taken := false
			for _, r := range received {
				taken = taken || r == id
			}
			if got := k.receiving(id, at(s)) != nil; got != taken {
				t.Errorf("at %d s: takes %d: got %v, want %v", s, id, got, taken)
			}
		}
	}
	t.Run("server", func(t *testing.T) {
		var k tokens
		k.add(issue(1, 0))
		want(t, &k, 0, 1, 1)
		want(t, &k, 124, 1, 1) // a quarter beyond its lifetime
		want(t, &k, 125, 0)
		k.add(issue(2, 75))
		want(t, &k, 75, 1, 1, 2) // the client has not used the new one
		want(t, &k, 100, 2, 1, 2)
		want(t, &k, 125, 2, 2)
		k.markUsed(k.receiving(1, at(80)))
		want(t, &k, 80, 1, 1, 2)
		k.markUsed(k.receiving(2, at(80)))
		want(t, &k, 80, 2, 2)
		k.add(issue(3, 150))
		k.add(issue(4, 160)) // renewed twice, and sent nothing: 3 may be on its way
		want(t, &k, 161, 3, 3, 4)
		if got := k.end(); got != at(160+125) {
			t.Errorf("ends at %v, want %v", got, at(285))
		}
	})
	t.Run("client", func(t *testing.T) {
		k := tokens{client: true}
		k.add(issue(1, 0))
		k.add(issue(2, 75))
		want(t, &k, 75, 2, 1, 2) // sends with the new one at once
		k.markUsed(k.receiving(2, at(80)))
		want(t, &k, 80, 2, 1, 2) // the server may still send with the old one
		want(t, &k, 125, 2, 2)
		want(t, &k, 200, 0)
	})
}
