package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/rx/sink/sinktest"
)

// fakeConn is a connection to a broker that acknowledges at once, or nothing.
type fakeConn struct {
	stalls bool
	ends   error         // why one that stalls ends; nil: it does not
	slow   time.Duration // that sending takes, after which the first call of settled brings nothing
	late   bool          // the next one does not
	sent   int           // not settled
	got    func(topic string)
}

func (c *fakeConn) room() int             { return window - c.sent }
func (c *fakeConn) limits() limits        { return limits{qos: 2, retain: true, properties: true} }
func (c *fakeConn) flush() error          { return nil }
func (c *fakeConn) lost() <-chan struct{} { return nil }
func (c *fakeConn) err() error            { return nil }
func (c *fakeConn) note() string          { return "" }
func (c *fakeConn) snapshotSent()         {}
func (c *fakeConn) close(bool)            {}
func (c *fakeConn) send(m *payload.Message, _ uint32) error {
	c.sent++
	c.got(m.Topic)
	time.Sleep(c.slow)
	c.late = c.slow > 0
	return nil
}

func (c *fakeConn) settled(wait time.Duration) ([]verdict, error) {
	if c.stalls {
		if wait == 0 {
			return nil, nil
		}
		time.Sleep(5 * time.Second)
		return nil, c.ends
	}
	if c.late {
		c.late = false
		return nil, nil
	}
	got := make([]verdict, c.sent)
	c.sent = 0
	return got, nil
}

func TestABrokerThatStallsIsNoReasonToDropAMessage(t *testing.T) {
	for _, c := range []struct {
		ends    error
		dropped bool
	}{
		{nil, false}, // errNoAck
		{fmt.Errorf("write: %w", os.ErrDeadlineExceeded), false},
		{errors.New("ping handler error: PINGRESP timed out"), false},
		{io.EOF, true},
		{fmt.Errorf("%w: reason 0x95", errDisconnected), true},
	} {
		t.Run(fmt.Sprint(c.ends), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rigOn(t, func() *fakeConn {
					return &fakeConn{stalls: true, ends: c.ends, got: func(string) {}}
				}, nil)
				r.begin(t)
				r.event(payload.Message{Topic: "e", QoS: 1, Payload: []byte("innocent")})
				time.Sleep(20 * time.Minute)
				st := r.Stats()
				if dropped := st.Disconnects > 0; dropped != c.dropped {
					t.Errorf("got %+v, want dropped %v", st, c.dropped)
				}
				r.stop()
			})
		})
	}
}

func TestWhatWasLeftOutIsPublishedAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string]int{}
		want := []string{"own/pair/state", "own/pair/trust", "r"}
		note := func(topic string) { mu.Lock(); defer mu.Unlock(); got[topic]++ }
		r := rigOn(t, func() *fakeConn { return &fakeConn{got: note} }, want)
		r.begin(t)
		count := func(when string, times int) {
			t.Helper()
			mu.Lock()
			defer mu.Unlock()
			for _, topic := range want {
				if got[topic] != times {
					t.Errorf("%s: %s was published %d times, want %d", when, topic, got[topic], times)
				}
			}
			if st := r.Stats(); st.Disconnects != 3 || got["r/other"] != 1 {
				t.Errorf("%s: got %+v, r/other %d times, want 3 left out and the other once", when, st, got["r/other"])
			}
		}
		time.Sleep(leftFor - time.Minute)
		synctest.Wait()
		count("before", 0)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		count("after", 1)
		time.Sleep(2 * leftFor)
		synctest.Wait()
		count("later", 1)
		r.stop()
	})
}

// rigOn makes a sink with connections of its own, in a bubble; left are topics that are left out.
func rigOn(t *testing.T, conn func() *fakeConn, left []string) *rig {
	t.Helper()
	link := &sinktest.Channel{}
	for _, topic := range []string{"r", "r/other"} {
		m := payload.Message{Topic: topic, QoS: 1, Retain: true, Payload: []byte("v")}
		link.Set(m.Topic, m.Append(nil))
	}
	var s state
	r := build(t, slog.New(slog.DiscardHandler), config.MQTTSink{Broker: "mqtt://broker:1"}, announcing(&s),
		func(d *Deps) { d.Channel = link })
	r.link = link
	for _, topic := range left {
		r.left[topic] = r.clock()
	}
	r.dial = func(context.Context) (connection, error) { return conn(), nil }
	return r
}
