package server

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gopcua/opcua"
	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
)

// gopcuaClient connects a client of gopcua's.
func gopcuaClient(t *testing.T, url string, security channel.Security, st *pki.Store, server []byte,
	user string) *opcua.Client {
	t.Helper()
	options := []opcua.Option{opcua.SecurityPolicy(security.Policy), opcua.SecurityMode(security.Mode),
		opcua.AutoReconnect(false), opcua.ApplicationURI("urn:test:client")}
	if st != nil {
		own := st.Own()
		options = append(options, opcua.Certificate(own.Certificate.Raw), opcua.PrivateKey(own.Key),
			opcua.RemoteCertificate(server))
	}
	kind := ua.UserTokenTypeAnonymous
	if user != "" {
		kind = ua.UserTokenTypeUserName
		options = append(options, opcua.AuthUsername(user, "secret"))
	} else {
		options = append(options, opcua.AuthAnonymous())
	}
	endpoints, err := opcua.GetEndpoints(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	var found *ua.EndpointDescription
	for _, e := range endpoints {
		if e.SecurityPolicyURI == security.Policy && e.SecurityMode == security.Mode {
			found = e
		}
	}
	if found == nil {
		t.Fatalf("no endpoint with %v", security)
	}
	c, err := opcua.NewClient(url, append(options, opcua.SecurityFromEndpoint(found, kind))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(await.Context(t)); err != nil {
		t.Fatalf("gopcua: %v", err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// A client of another stack does what clients do: it reads, browses, subscribes, and is
// refused what would change something.
func TestGopcuaClient(t *testing.T) {
	s, url, theirs := pair(t, func(c *Config) { c.Security = append([]channel.Security{plain}, secured...) })
	ours := s.cfg.Store
	factory(t, s)
	for _, security := range append([]channel.Security{plain}, secured...) {
		for _, user := range []string{"", "joe"} {
			t.Run(security.Policy[len(ua.SecurityPolicyURIPrefix):]+"/"+security.Mode.String()+"/"+user,
				func(t *testing.T) {
					st := theirs
					if security == plain && user == "" {
						st = nil
					}
					c := gopcuaClient(t, url, security, st, ours.Own().Certificate.Raw, user)
					s.Set(named("taga0"), dataValue(t, 1.5))
					if ns := c.Namespaces(); len(ns) != 1 {
						t.Errorf("namespaces: got %q", ns)
					}
					node := c.Node(named("taga0").UA())
					if v, err := node.Value(t.Context()); err != nil || v.Value() != 1.5 {
						t.Errorf("read %v, %v; want 1.5", v, err)
					}
					children, err := c.Node(named("plant").UA()).ReferencedNodes(t.Context(), id.HasComponent,
						ua.BrowseDirectionForward, ua.NodeClassAll, true)
					if err != nil || len(children) != 40 {
						t.Errorf("browsed %d nodes, %v; want 40", len(children), err)
					}
					changes := make(chan *opcua.PublishNotificationData, 10)
					sub, err := c.Subscribe(t.Context(), &opcua.SubscriptionParameters{Interval: 50 * time.Millisecond},
						changes)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := sub.Monitor(t.Context(), ua.TimestampsToReturnBoth,
						opcua.NewMonitoredItemCreateRequestWithDefaults(named("taga0").UA(), ua.AttributeIDValue,
							7)); err != nil {
						t.Fatal(err)
					}
					wantChange(t, changes, 1.5)
					s.Set(named("taga0"), dataValue(t, 2.5))
					wantChange(t, changes, 2.5)
					codes, err := c.Write(t.Context(),
						&ua.WriteRequest{NodesToWrite: []*ua.WriteValue{{NodeID: named("taga0").UA(),
							AttributeID: ua.AttributeIDValue,
							Value:       &ua.DataValue{EncodingMask: ua.DataValueValue, Value: ua.MustVariant(3.5)}}}})
					if err != nil || codes.Results[0] != ua.StatusBadNotWritable {
						t.Errorf("write: got %v, %v; want Bad_NotWritable", codes, err)
					}
					called, err := c.Call(t.Context(),
						&ua.CallMethodRequest{ObjectID: named("line").UA(), MethodID: named("halt").UA()})
					if err != nil || called.StatusCode != ua.StatusBadNotExecutable {
						t.Errorf("call: got %v, %v; want Bad_NotExecutable", called, err)
					}
					called, err = c.Call(t.Context(),
						&ua.CallMethodRequest{ObjectID: ns0(id.Server).UA(),
							MethodID:       ns0(id.Server_GetMonitoredItems).UA(),
							InputArguments: []*ua.Variant{ua.MustVariant(sub.SubscriptionID)}})
					if err != nil || called.StatusCode != ua.StatusOK || len(called.OutputArguments) != 2 {
						t.Errorf("GetMonitoredItems: got %v, %v", called, err)
					}
					if err := sub.Cancel(t.Context()); err != nil && !errors.Is(err, ua.StatusBadNoSubscription) {
						t.Error(err)
					}
				})
		}
	}
}

func wantChange(t *testing.T, changes chan *opcua.PublishNotificationData, want float64) {
	t.Helper()
	for {
		n := await.Receive(t, fmt.Sprint("a notification of ", want), changes)
		if n.Error != nil {
			t.Fatal(n.Error)
		}
		data, _ := n.Value.(*ua.DataChangeNotification)
		if data != nil && len(data.MonitoredItems) > 0 && data.MonitoredItems[0].Value.Value.Value() == want {
			return
		}
	}
}
