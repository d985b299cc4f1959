package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
)

func TestAnswersOfOtherRequestsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*call){
		"another service": func(c *call) { c.Kind = id.BrowseRequest_Encoding_DefaultBinary },
		"another handle":  func(c *call) { c.Handle++ },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			s := f.connect()
			f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
				payload := f.read(readNodes(c))
				change(&c)
				f.Respond(c, payload, 0)
				return nil, 0
			})
			if got := collect(t, s, nodes(1)); got[0] != "StatusBadDecodingError" {
				t.Errorf("%s: got %s, want Bad_DecodingError", name, got[0])
			}
		})
	}
}

func TestConnectNeedsTheNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.on(id.ReadRequest_Encoding_DefaultBinary, func(c call) ([]byte, ua.StatusCode) {
			return f.read(make([]rawvalue.NodeID, len(readNodes(c)))), 0
		})
		if _, err := Connect(t.Context(), f.config()); codeOf(err) != ua.StatusBadConfigurationError {
			t.Errorf("got %v, want Bad_ConfigurationError", err)
		}
	})
}

func TestStaleKeepAlivesAreNoSignOfLife(t *testing.T) {
	subscribed(t, func(t *testing.T, f *fake, sub *Subscription, _ *record) {
		for i := range uint32(3) {
			f.say(i+1, one(1, 1))
		}
		for range 2 * busySilence / time.Second {
			if time.Sleep(time.Second); sub.s.Err() != nil {
				break
			}
			f.say(1)
		}
		ended(t, sub.s, ua.StatusBadTimeout)
	})
}
