package linksim

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	rx "heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/sink"
	tx "heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/source"
)

// line joins two pipelines within a synctest bubble.
type line struct {
	chunks chan []byte
	cut    atomic.Bool
	delay  atomic.Int64
}

func (l *line) Transmit(frames [][]byte) (int, error) {
	for _, f := range frames {
		if !l.cut.Load() {
			l.send(append([]byte(nil), f...))
		}
	}
	return len(frames), nil
}

func (l *line) send(b []byte) {
	if d := time.Duration(l.delay.Load()); d > 0 {
		time.AfterFunc(d, func() { l.chunks <- b })
		return
	}
	l.chunks <- b
}

func (l *line) Receive(timeout time.Duration, deliver func([]byte)) error {
	select {
	case c := <-l.chunks:
		deliver(c)
	case <-time.After(timeout):
	}
	return nil
}

func (l *line) Close() error { return nil }

// got is a sink that keeps payloads.
type got struct {
	mu       sync.Mutex
	payloads []string
}

func (g *got) Deliver(u sink.Update) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.payloads = append(g.payloads, string(u.Payload))
}

func (g *got) all() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.payloads
}

// pipelines runs both pipelines over a line while f runs.
func pipelines(t *testing.T, uart bool, f func(l *line, port source.Port, receiver *rx.Link, out *got)) {
	t.Helper()
	session, err := wire.NewSession(Key, 1, [16]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	l := &line{chunks: make(chan []byte, 1<<16)}
	tc := tx.Config{
		Profile: wire.DatagramProfile(1472, 66), Rate: 12.5e6, Overhead: 0.25, CarouselShare: 0.1,
		Ahead: time.Millisecond, Session: session, Log: log,
	}
	rc := rx.Config{Key: Key, Anchor: AdmitAll{}, StaleAfter: 3 * time.Second, Log: log}
	if uart {
		tc.Profile, tc.Rate, tc.Encode = wire.UARTProfile(921600), 92160, codeword.Encode
		rc.Synchronizer = codeword.New(wire.CheckCRC)
	}
	var out got
	transmitter, receiver := tx.New(tc, l), rx.New(rc, l)
	port := transmitter.Port(channel, wire.LowLatency)
	receiver.Channel(channel).DeliverTo(&out)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	for _, run := range []func(context.Context) error{transmitter.Run, receiver.Run} {
		go func() { ended <- run(ctx) }()
	}
	f(l, port, receiver, &out)
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

func TestPipelinesCarryEvents(t *testing.T) {
	for name, uart := range map[string]bool{"datagrams": false, "UART": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pipelines(t, uart, func(_ *line, port source.Port, receiver *rx.Link, out *got) {
					port.SetComplete(true)
					port.Report(source.Up, "here")
					for i := range 500 {
						if err := port.Put(source.Update{Payload: fmt.Append(nil, i), Event: true}); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Millisecond)
					}
					time.Sleep(3 * time.Second)
					if all := out.all(); len(all) != 500 || all[499] != "499" {
						t.Errorf("got %d events, want 500", len(all))
					}
					s := receiver.Status()
					if c := s.Channels[0]; !c.Complete || c.Lost != 0 || c.Reason != "here" || receiver.Ready() != nil {
						t.Errorf("got %+v, ready: %v", c, receiver.Ready())
					}
				})
			})
		})
	}
}

func TestPipelinesCarryNewValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipelines(t, false, func(_ *line, port source.Port, receiver *rx.Link, out *got) {
			time.Sleep(time.Second)
			for i := range 30 {
				u := source.Update{Key: fmt.Append(nil, i%10), Payload: fmt.Append(nil, i), Time: time.Now()}
				if err := port.Put(u); err != nil {
					t.Error(err)
				}
				if i%10 == 9 {
					time.Sleep(100 * time.Millisecond)
				}
			}
			time.Sleep(time.Second)
			c := receiver.Status().Channels[0]
			if all := out.all(); len(all) != 30 || all[29] != "29" || c.Delivered != 30 || c.Lost != 0 ||
				c.Unknown != 0 {
				t.Errorf("got %q, %+v; want 0 to 29", all, c.Counts)
			}
		})
	})
}

// TestALinkThatOnlyDelaysIsNoticed holds back what is sent for longer and longer.
func TestALinkThatOnlyDelaysIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipelines(t, false, func(l *line, _ source.Port, receiver *rx.Link, _ *got) {
			time.Sleep(5 * time.Second)
			if err := receiver.Ready(); err != nil {
				t.Errorf("undelayed: %v", err)
			}
			l.delay.Store(int64(10 * time.Second))
			time.Sleep(20 * time.Second)
			if receiver.Ready() == nil {
				t.Error("ready although everything comes ten seconds late")
			}
		})
	})
}

func TestASilentLinkIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipelines(t, false, func(l *line, _ source.Port, receiver *rx.Link, _ *got) {
			if receiver.Ready() == nil {
				t.Error("ready before anything was received")
			}
			time.Sleep(2 * time.Second)
			if err := receiver.Ready(); err != nil {
				t.Errorf("with heartbeats: %v", err)
			}
			l.cut.Store(true)
			time.Sleep(5 * time.Second)
			if receiver.Ready() == nil {
				t.Error("ready although the link is silent")
			}
			l.cut.Store(false)
			time.Sleep(2 * time.Second)
			if err := receiver.Ready(); err != nil {
				t.Errorf("with heartbeats again: %v", err)
			}
		})
	})
}
