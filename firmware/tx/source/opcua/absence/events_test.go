package absence

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestEventsAreMissedInTheServersTime(t *testing.T) {
	for name, test := range map[string]struct {
		do            func(b *Book, c clock)
		since, length time.Duration // now; -1: nothing
	}{
		"nothing at a first start": {func(b *Book, c clock) {
			b.MissEvents(time.Now())
			b.Clock(c.now(), time.Now())
			b.EventsCome(time.Now())
		}, -1, 0},
		"an hour": {func(b *Book, c clock) {
			b.Clock(c.now(), time.Now())
			b.MissEvents(time.Now())
			time.Sleep(time.Hour)
			b.MissEvents(time.Now()) // again, meanwhile
			b.EventsCome(time.Now())
		}, time.Hour + eventSlack, time.Hour + eventSlack + overlap},
		"more than a day": {func(b *Book, c clock) {
			b.Clock(c.now(), time.Now())
			b.MissEvents(time.Now())
			time.Sleep(50 * time.Hour)
			b.EventsCome(time.Now())
		}, Longest - overlap, Longest},
		"another before that is read": {func(b *Book, c clock) {
			b.Clock(c.now(), time.Now())
			for range 2 {
				b.MissEvents(time.Now())
				time.Sleep(time.Second)
				b.EventsCome(time.Now())
			}
		}, 2*time.Second + eventSlack, 2*time.Second + eventSlack + overlap},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, c := New(time.Second), clock(-5*time.Hour)
				test.do(b, c)
				now := c.now()
				if g := b.NextEvents(time.Now()); g != nil {
					t.Fatalf("got %+v before the notifications have come", g)
				}
				time.Sleep(time.Minute)
				g := b.NextEvents(time.Now())
				if g == nil || test.since < 0 {
					if g != nil || test.since >= 0 {
						t.Errorf("got %+v", g)
					}
					return
				}
				if since, d := time.Duration(now-g.From)*tick, time.Duration(g.To-g.From)*tick; since != test.since ||
					d != test.length {
					t.Errorf("got %v since %v ago, want %v since %v ago", d, since, test.length, test.since)
				}
			})
		})
	}
}

func TestARestartMissesEventsSinceTheMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := New(time.Second), clock(7*time.Hour)
		b.Clock(c.now(), time.Now())
		flow(b, map[uint32]clock{1: 0}, time.Minute)
		record := b.Append(7, 3, nil)
		from := c.now() - int64(eventSlack/tick) - seconds(1)
		time.Sleep(time.Hour)
		b = New(time.Second)
		if err := b.Restore(record, 7, 3); err != nil {
			t.Fatal(err)
		}
		b.Clock(c.now(), time.Now())
		b.EventsCome(time.Now())
		time.Sleep(time.Minute)
		g := b.NextEvents(time.Now())
		if g == nil || g.From < from || g.From > from+seconds(2) {
			t.Fatalf("got %+v, want from %d", g, from)
		}
		b.Clock(c.now(), time.Now())
		flow(b, map[uint32]clock{1: 0}, time.Second)
		if b.Append(7, 3, nil); b.events.mark(b.left) != g.From {
			t.Error("the mark moved on while the interval is read")
		}
		g.Next = g.From + 100
		b.DoneEvents(false)
		if again := b.NextEvents(time.Now()); again != g || again.From != again.Next-1 {
			t.Errorf("got %+v, want what is left", again)
		}
		b.DoneEvents(true)
		if again := b.NextEvents(time.Now()); again != nil || b.events.mark(b.left) <= g.To-seconds(90) {
			t.Errorf("got %+v, want nothing, and a mark that moves on", again)
		}
	})
}
