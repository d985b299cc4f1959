package servertest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/servertest"
)

// TestServerAnswersWhatIsScripted connects our client: sessions open by themselves, a
// Read is scripted and delayed, and what has no script is refused.
func TestServerAnswersWhatIsScripted(t *testing.T) {
	const read = id.ReadRequest_Encoding_DefaultBinary
	synctest.Test(t, func(t *testing.T) {
		s := servertest.New(t, servertest.Config{Delay: func(r servertest.Request) time.Duration {
			if r.Kind == read {
				return time.Duration(servertest.Operations(r)) * time.Millisecond
			}
			return 0
		}})
		s.On(read, func(r servertest.Request) ([]byte, ua.StatusCode) {
			items := servertest.ReadItems(r)
			b := servertest.AppendUint32(nil, uint32(len(items)))
			for range items {
				b = append(b, servertest.Texts("http://opcfoundation.org/UA/")...)
			}
			return servertest.AppendUint32(b, servertest.Null), 0
		})
		c, err := client.Connect(t.Context(), client.Config{
			Endpoint: servertest.Endpoint, Policy: "None", Dialer: s.Dialer(),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s.ResetCount(read)
		began := time.Now()
		items := make([]client.ReadItem, 7)
		values := 0
		if err := c.Read(t.Context(), items, 0, func(int, rawvalue.DataValue) { values++ }); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); values != 7 || s.Count(read) != 1 || d != 7*time.Millisecond {
			t.Errorf("got %d values by %d Reads in %v, want 7 by one in 7ms", values, s.Count(read), d)
		}
		_, err = c.Subscribe(t.Context(), client.SubscriptionConfig{Interval: time.Second, KeepAlive: 1}, nil)
		if !errors.Is(err, ua.StatusBadServiceUnsupported) {
			t.Errorf("got %v, want Bad_ServiceUnsupported of what has no script", err)
		}
	})
}
