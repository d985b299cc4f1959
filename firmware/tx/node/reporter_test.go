package node

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/firmware/conduit/selfreport"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source"
)

func TestTheNodeReportsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		c.TX.OPCUA = []config.OPCUASource{{Channel: "press-line"}}
		r := newRig(t, c)
		r.run(t, func() {
			r.plant("cell-1").Report(source.Up, "")
			r.plant("cell-1").Missed(2, "messages")
			r.plant("cell-1").Missed(3, "or more others")
			settle()
			got := r.reported()
			if got.Version != "2.1.0" || got.Pair != "press-hall" || got.Epoch != 1 ||
				got.Clock != "not synchronized" ||
				got.Configuration != "1 mqtt, 0 syslog, 1 opcua over udp" {
				t.Errorf("got %+v", got)
			}
			if b := got.Board; b == nil || b.Name == "" || b.UptimeSeconds%60 != 0 {
				t.Errorf("board: got %+v", b)
			}
			want := []selfreport.Source{
				{Channel: "cell-1", Protocol: "mqtt", State: "up", Missed: new(uint64(5)),
					What: "2 messages, 3 or more others"},
				{Channel: "press-line", Protocol: "opcua", State: "connecting", Missed: new(uint64)},
			}
			if !reflect.DeepEqual(got.Sources, want) {
				t.Errorf("sources: got %+v, want %+v", got.Sources, want)
			}
			if len(got.Certificates) != 1 || got.Certificates[0].Name != "opcua own" {
				t.Errorf("certificates: got %+v, want our own for OPC UA", got.Certificates)
			}
			if len(got.Audit) == 0 || !bytes.Contains(got.Audit[0].Message, []byte("role_started")) {
				t.Errorf("audit: got %+v, want the start", got.Audit)
			}
		})
	})
}

func TestAChangeOfASourceCrossesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			settle()
			before := r.link.Channels()[1].Sent
			r.plant("cell-1").Report(source.Down, "no route to host")
			settle()
			want := []selfreport.Source{{Channel: "cell-1", Protocol: "mqtt", State: "down",
				Reason: "no route to host", Missed: new(uint64)}}
			if got := r.reported().Sources; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
			if got := r.link.Channels()[1].Sent - before; got != 1 {
				t.Errorf("got %d records for one change, want 1", got)
			}
		})
	})
}

func TestAnEntryThatNoLongerHoldsIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		c.TX.Syslog = []config.SyslogSource{{Channel: "log", Listen: []string{"tls://127.0.0.1:6514"}}}
		r := newRig(t, c)
		r.run(t, func() {
			settle()
			if got := r.reported().Certificates; len(got) != 1 || got[0].Name != "syslog log" {
				t.Fatalf("got %+v, want the listener's certificate", got)
			}
			if err := os.Remove(filepath.Join(c.TX.PKI, "syslog-log.crt")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Minute) // certificates are read once a minute
			if got := r.reported().Certificates; len(got) != 0 {
				t.Errorf("got %+v, want none", got)
			}
		})
	})
}

// TestAnEntryThatTheLinkRefusesIsPutAgain: the plant's channels have taken all the state
// that the link may have, until some of it is deleted.
func TestAnEntryThatTheLinkRefusesIsPutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t)
		c.TX.Memory.State = 1 << 20
		r := newRig(t, c)
		r.run(t, func() {
			settle()
			plant := r.plant("cell-1")
			var keys [][]byte
			for range 2 { // the second time nothing waits any more
				for _, size := range []int{16 << 10, 1 << 10, 1} {
					for {
						key := fmt.Appendf(nil, "key %d", len(keys))
						if plant.Put(source.Update{Key: key, Payload: make([]byte, size)}) != nil {
							break
						}
						keys = append(keys, key)
					}
				}
				for size := 2; plant.Put(source.Update{Key: keys[len(keys)-1], Payload: make([]byte, size)}) == nil; {
					size++
				}
				settle()
			}
			plant.Missed(1200, "messages")
			settle()
			if got := *r.reported().Sources[0].Missed; got != 1200 {
				t.Errorf("got %d missed while the plant's channel has all the room, want 1200", got)
			}
		})
	})
}

func TestTheGatewaysChannelIsUpAndComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, testConfig(t))
		r.run(t, func() {
			settle()
			if c := r.link.Channels()[1]; c.State != source.Up || c.Partial {
				t.Errorf("got %+v, want it up, not partial", c)
			}
			if r.runner.Steps()["report"] < 2 {
				t.Errorf("got steps %v, want some of the reporter", r.runner.Steps())
			}
		})
	})
}
