package mqtt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

// TestWhatABrokerHasTheSourceRememberIsBoundedInBytes: the link has refused all of it.
func TestWhatABrokerHasTheSourceRememberIsBoundedInBytes(t *testing.T) {
	const topics, most = 1000, 4 << 20 // of 64 MB
	for name, add := range map[string]func(*retainedSet, *payload.Message){
		"live while a read runs": func(r *retainedSet, m *payload.Message) {
			r.addSession(m, false, time.Now(), mark{}, 0)
			r.forget(m.Topic)
		},
		"what a subscription brings": func(r *retainedSet, m *payload.Message) {
			r.addSession(m, true, time.Now(), mark{}, 0)
			r.forget(m.Topic)
		},
		"not valid": func(r *retainedSet, m *payload.Message) { r.addInvalid(m) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRetainedSet()
			r.watchLive()
			if strings.HasPrefix(name, "what") {
				r.openWindow(time.Now())
			}
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			before := heap()
			for i := range topics {
				add(r, &payload.Message{Topic: fmt.Sprintf("%064000d", i), Retain: true, Payload: []byte("x")})
			}
			if got := int64(heap() - before); got > most {
				t.Errorf("%d topics use %d bytes, want at most %d", topics, got, most)
			}
			runtime.KeepAlive(r)
		})
	}
}

// quietBroker answers at once.
type quietBroker struct {
	connection
	subscribed func()
}

func (b *quietBroker) subscribe(context.Context, []string, byte) error {
	b.subscribed()
	return nil
}
func (*quietBroker) unsubscribe(context.Context, []string) error { return nil }
func (*quietBroker) barrier(context.Context) error               { return nil }

// TestTooManyTopicsEndARead and the memory of them.
func TestTooManyTopicsEndARead(t *testing.T) {
	add := func(s *Source, i int) {
		m := payload.Message{Topic: fmt.Sprint(i), Retain: true, Payload: []byte("x")}
		s.retained.addSession(&m, false, time.Now(), mark{}, 0)
		s.retained.forget(m.Topic)
	}
	for name, c := range map[string]struct {
		filters []string
		more    func(r *reader, i int)
	}{
		"found":             {[]string{"#"}, func(r *reader, i int) { r.addFound([]byte(fmt.Sprint(i))) }},
		"live":              {nil, func(r *reader, i int) { add(r.source, i) }},
		"live without wait": {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := testSource(t)
				r := &reader{source: s}
				var n atomic.Int64
				b := &quietBroker{subscribed: func() {
					for range maxTopics + 1 {
						if i := int(n.Add(1)); c.more != nil {
							c.more(r, i)
						} else {
							add(s, i)
						}
					}
				}}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.more != nil {
					go func() { // it goes on for ever
						for ctx.Err() == nil {
							time.Sleep(retainedQuiet / 2)
							c.more(r, int(n.Add(1)))
						}
					}()
				}
				time.AfterFunc(time.Hour, cancel)
				var err error
				if c.filters != nil {
					_, err = r.discover(ctx, b, c.filters, &skimmer{})
				} else {
					_, err = r.readTopics(ctx, b, []string{"t"})
				}
				cancel()
				time.Sleep(retainedQuiet) // the other goroutine has ended
				if !errors.Is(err, errTopics) {
					t.Errorf("got %v, want %v", err, errTopics)
				}
				if len(s.retained.live) > maxTopics || len(r.found) > maxTopics {
					t.Errorf("%d live and %d found are noted, want at most %d", len(s.retained.live), len(r.found),
						maxTopics)
				}
			})
		})
	}
}

// TestRepeatsHoldNoReadUp: messages of topics that came before, or were not asked for, come for ever.
func TestRepeatsHoldNoReadUp(t *testing.T) {
	for name, c := range map[string]struct {
		read func(ctx context.Context, r *reader, b connection) error
		more func(r *reader)
	}{
		"found": {func(ctx context.Context, r *reader, b connection) error {
			_, err := r.discover(ctx, b, []string{"#", "a/#"}, &skimmer{})
			return err
		}, func(r *reader) { r.addFound([]byte("a/b")) }},
		"asked": {func(ctx context.Context, r *reader, b connection) error {
			_, err := r.readTopics(ctx, b, []string{"t"})
			return err
		}, func(r *reader) {
			r.message(&payload.Message{Topic: "a/b", Retain: true, Payload: []byte("x")}, origin{})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := testSource(t)
				r := &reader{source: s, acks: newAcker(&s.stats.Acknowledged)}
				defer r.acks.close()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					for ctx.Err() == nil {
						time.Sleep(retainedQuiet / 2)
						c.more(r)
					}
				}()
				time.AfterFunc(time.Hour, cancel)
				err := c.read(ctx, r, &quietBroker{subscribed: func() {}})
				c.more(r) // on its way when the read ends
				cancel()
				time.Sleep(retainedQuiet)
				if err != nil {
					t.Errorf("got %v, want an end of the read", err)
				}
			})
		})
	}
}

// TestEachFilterMayBringATopicOnce: with filters that overlap, a pass goes on for as long as any of them
// brings messages.
func TestEachFilterMayBringATopicOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := testSource(t)
		r := &reader{source: s}
		once := true
		b := &quietBroker{subscribed: func() {
			if !once {
				return
			}
			once = false
			go func() {
				for _, topic := range []string{"a/1", "a/2", "a/1", "a/2", "b"} {
					time.Sleep(retainedQuiet * 3 / 4)
					r.addFound([]byte(topic))
				}
			}()
		}}
		topics, err := r.discover(t.Context(), b, []string{"#", "a/#"}, &skimmer{})
		if err != nil || len(topics) != 3 {
			t.Errorf("got %q, %v; want three topics", topics, err)
		}
	})
}
