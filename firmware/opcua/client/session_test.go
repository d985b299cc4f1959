package client

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/rawvalue"
)

func ended(t *testing.T, s *Session, want ua.StatusCode) {
	t.Helper()
	select {
	case <-s.Done():
	default:
		t.Fatalf("got a session that goes on, want one ended by %v", want)
	}
	if !errors.Is(s.Err(), want) {
		t.Errorf("got %v, want %v", s.Err(), want)
	}
}

func TestSessionEnds(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(f *fake)
		want ua.StatusCode
		wait time.Duration
	}{
		"when the server is about to shut down": {func(f *fake) {
			f.mu.Lock()
			f.state = int32(ua.ServerStateShutdown)
			f.mu.Unlock()
		}, ua.StatusBadShutdown, 2100 * time.Millisecond},
		"when the server answers nothing": {func(f *fake) {
			f.on(id.ReadRequest_Encoding_DefaultBinary,
				func(call) ([]byte, ua.StatusCode) { return nil, 0 })
		}, ua.StatusBadTimeout, 8100 * time.Millisecond},
		"when it is unknown to the server": {func(f *fake) {
			f.on(id.ReadRequest_Encoding_DefaultBinary,
				func(call) ([]byte, ua.StatusCode) { return nil, ua.StatusBadSessionIDInvalid })
		}, ua.StatusBadSessionIDInvalid, 2100 * time.Millisecond},
		"with the connection": {func(f *fake) { f.ch.Close() }, ua.StatusBadConnectionClosed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				s := f.connect()
				test.do(f)
				time.Sleep(test.wait)
				synctest.Wait()
				ended(t, s, test.want)
			})
		})
	}
}

func TestSessionGoesOnWhileAShutdownIsFarOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		f.mu.Lock()
		f.state, f.left = int32(ua.ServerStateShutdown), 3600
		f.mu.Unlock()
		time.Sleep(time.Minute)
		if err := s.Err(); err != nil {
			t.Errorf("got %v, want no end", err)
		}
	})
}

func TestCloseIsTheReasonAndReachesTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		s := f.connect()
		s.Close()
		if !errors.Is(s.Err(), ErrClosed) {
			t.Errorf("got %v, want ErrClosed", s.Err())
		}
		if n := f.Count(id.CloseSessionRequest_Encoding_DefaultBinary); n != 1 {
			t.Errorf("got %d CloseSession, want 1", n)
		}
		if err := s.Read(t.Context(), make([]ReadItem, 1), 0, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
}

// TestSlowServicesGetMoreTime: whichever service is slow, a session comes up in the end
// that has its subscription and items, each that was given up is closed, and what was
// learned stays.
func TestSlowServicesGetMoreTime(t *testing.T) {
	services := map[string]uint32{
		"GetEndpoints":         id.GetEndpointsRequest_Encoding_DefaultBinary,
		"CreateSession":        id.CreateSessionRequest_Encoding_DefaultBinary,
		"ActivateSession":      id.ActivateSessionRequest_Encoding_DefaultBinary,
		"Read":                 id.ReadRequest_Encoding_DefaultBinary,
		"Browse":               id.BrowseRequest_Encoding_DefaultBinary,
		"CreateSubscription":   id.CreateSubscriptionRequest_Encoding_DefaultBinary,
		"CreateMonitoredItems": id.CreateMonitoredItemsRequest_Encoding_DefaultBinary,
		"CloseSession":         id.CloseSessionRequest_Encoding_DefaultBinary, "all": 0,
	}
	for name, slow := range services {
		for _, delay := range []time.Duration{time.Second, 6 * time.Second, 30 * time.Second} {
			t.Run(fmt.Sprintf("%s takes %s", name, delay), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake(t)
					newTree(f, 1000, 0)
					f.on(id.PublishRequest_Encoding_DefaultBinary,
						func(c call) ([]byte, ua.StatusCode) {
							time.AfterFunc(time.Second, func() { // a keep-alive
								payload := append(appendUint32(appendUint32(nil, 5), 0),
									0)
								f.Respond(c,
									append(payload, notificationMessage(1)...), 0)
							})
							return nil, 0
						})
					var one sync.Mutex
					for _, kind := range services {
						if kind == slow || slow == 0 && kind != 0 {
							before := f.Script(kind)
							f.on(kind, func(c call) ([]byte, ua.StatusCode) {
								// one after the other:
								// nothing else is answered
								// meanwhile
								time.Sleep(delay)
								one.Lock()
								defer one.Unlock()
								return before(c)
							})
						}
					}
					cfg := f.config()
					cfg.Pace = &Pace{}
					tries := 0
					for up := false; !up; tries++ {
						if tries > 20 {
							t.Fatal("it never comes up")
						}
						up = workedOnce(t, cfg)
					}
					before := tries
					if !workedOnce(t, cfg) {
						t.Errorf("the next session failed after %d tries, want it learned",
							before)
					}
					time.Sleep(2 * maxTimeout)
					synctest.Wait()
					made, closed := f.Count(id.CreateSessionRequest_Encoding_DefaultBinary),
						f.Count(id.CloseSessionRequest_Encoding_DefaultBinary)
					// a session of which nothing is known cannot be closed
					if name != "CreateSession" && name != "all" && made != closed {
						t.Errorf("got %d sessions, %d closed", made, closed)
					}
					t.Logf("%d tries", tries)
				})
			})
		}
	}
}

// workedOnce makes a session with a subscription and items, reads and browses.
func workedOnce(t *testing.T, cfg Config) bool {
	t.Helper()
	s, err := Connect(t.Context(), cfg)
	if err != nil {
		return false
	}
	defer s.Close()

	sub, err := s.Subscribe(t.Context(), SubscriptionConfig{Interval: 100 * time.Millisecond, KeepAlive: 10},
		&record{})
	if err != nil {
		return false
	}
	items := make([]Item, 30)
	for i := range items {
		items[i].Handle = uint32(i)
	}
	refused := 0
	err = sub.Monitor(t.Context(), items, func(_ int, status ua.StatusCode, _ Revised) {
		if status != 0 {
			refused++
		}
	})
	if err != nil {
		return false
	}
	err = s.Read(t.Context(), nodes(30), 0, func(_ int, dv rawvalue.DataValue) {
		if dv.Status != 0 {
			refused++
		}
	})
	if err != nil {
		return false
	}
	ids := make([]rawvalue.NodeID, 30)
	for i := range ids {
		ids[i] = rawvalue.NodeID{Namespace: 1, Number: uint32(i)}
	}
	err = s.Browse(t.Context(), ids, func(_ int, status ua.StatusCode, _ []addrspace.Reference) {
		if status != 0 {
			refused++
		}
	})
	if refused > 0 {
		t.Errorf("got %d operations refused, want a time-out never taken for a refusal", refused)
	}
	return err == nil
}
