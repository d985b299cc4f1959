package server

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/channel"
)

// loud fails a fuzz target when a handler panics: the server recovers, and logs it.
type loud struct {
	slog.Handler
	broke chan string
}

func (l loud) Enabled(context.Context, slog.Level) bool { return true }

func (l loud) Handle(_ context.Context, r slog.Record) error {
	if r.Level == slog.LevelError {
		select {
		case l.broke <- r.Message:
		default:
		}
	}
	return nil
}

func (l loud) WithAttrs([]slog.Attr) slog.Handler { return l }

// requests are one of each kind that the fuzzer starts from, with a token in them.
func requests(token *ua.NodeID) []any {
	h, node := func() *ua.RequestHeader { return header(token) }, named("taga0").UA()
	return []any{
		readRequest(token, &ua.ReadValueID{NodeID: node, AttributeID: ua.AttributeIDValue, IndexRange: "0:1"},
			stateItem()),
		browseRequest(token, 3, description(named("plant"), 0x3f)),
		&ua.BrowseNextRequest{RequestHeader: h(), ContinuationPoints: [][]byte{{1, 0, 0, 0}}},
		&ua.TranslateBrowsePathsToNodeIDsRequest{RequestHeader: h(),
			BrowsePaths: []*ua.BrowsePath{{StartingNode: ua.NewTwoByteNodeID(84), RelativePath: &ua.RelativePath{
				Elements: []*ua.RelativePathElement{{ReferenceTypeID: ua.NewTwoByteNodeID(33), IncludeSubtypes: true,
					TargetName: &ua.QualifiedName{Name: "Objects"}}},
			}}}},
		&ua.WriteRequest{RequestHeader: h(),
			NodesToWrite: []*ua.WriteValue{{NodeID: node, AttributeID: ua.AttributeIDValue,
				Value: &ua.DataValue{EncodingMask: 1, Value: ua.MustVariant(int32(1))}}}},
		&ua.CallRequest{RequestHeader: h(), MethodsToCall: []*ua.CallMethodRequest{{
			ObjectID: ua.NewTwoByteNodeID(1), MethodID: ua.NewNumericNodeID(0, id.Server_GetMonitoredItems),
			InputArguments: []*ua.Variant{ua.MustVariant(uint32(1))},
		}}},
		&ua.CreateSubscriptionRequest{RequestHeader: h(), RequestedPublishingInterval: 100, RequestedLifetimeCount: 10,
			PublishingEnabled: true},
		&ua.CreateMonitoredItemsRequest{RequestHeader: h(), SubscriptionID: 1,
			ItemsToCreate: []*ua.MonitoredItemCreateRequest{{
				ItemToMonitor: &ua.ReadValueID{NodeID: node, AttributeID: ua.AttributeIDValue,
					DataEncoding: &ua.QualifiedName{}}, MonitoringMode: ua.MonitoringModeReporting,
				RequestedParameters: &ua.MonitoringParameters{Filter: ua.NewExtensionObject(
					&ua.DataChangeFilter{Trigger: 1}), QueueSize: 3},
			}}},
		&ua.HistoryReadRequest{RequestHeader: h(), HistoryReadDetails: ua.NewExtensionObject(nil),
			NodesToRead: []*ua.HistoryReadValueID{{NodeID: node, DataEncoding: &ua.QualifiedName{}}}},
		historyRequestOf(token, &ua.ReadRawModifiedDetails{StartTime: second(0), EndTime: second(9),
			NumValuesPerNode: 2,
			ReturnBounds:     true}, named("taga0"), named("tagb0")),
		historyRequestOf(token, &ua.ReadEventDetails{StartTime: second(0), NumValuesPerNode: 2, Filter: severities()},
			named("line"), ns0(id.Server)),
		processedOf(token, ua.ReadProcessedDetails{StartTime: second(9), EndTime: second(0), ProcessingInterval: 700,
			AggregateType: functions(id.AggregateFunction_TimeAverage, id.AggregateFunction_Count)}, named("taga0"),
			named("tagb0")),
		historyRequestOf(token, &ua.ReadAtTimeDetails{ReqTimes: []time.Time{second(1), second(20)}}, named("taga0")),
		&ua.HistoryReadRequest{RequestHeader: h(), ReleaseContinuationPoints: true,
			HistoryReadDetails: ua.NewExtensionObject(&ua.ReadRawModifiedDetails{EndTime: second(9),
				NumValuesPerNode: 1}),
			NodesToRead: []*ua.HistoryReadValueID{{NodeID: node, DataEncoding: &ua.QualifiedName{},
				ContinuationPoint: []byte{1, 0, 0, 0, 0, 0, 0, 0}}}},
		&ua.QueryFirstRequest{RequestHeader: h(), View: &ua.ViewDescription{ViewID: ua.NewTwoByteNodeID(0)},
			Filter: &ua.ContentFilter{}},
		&ua.GetEndpointsRequest{RequestHeader: h(), EndpointURL: "opc.tcp://x:1"},
		&ua.CreateSessionRequest{RequestHeader: h(),
			ClientDescription: &ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText("x")}},
		&ua.CancelRequest{RequestHeader: h()},
		&ua.FindServersRequest{RequestHeader: h(), EndpointURL: "opc.tcp://x:1", LocaleIDs: []string{"en"},
			ServerURIs: []string{"urn:x"}},
		&ua.RegisterNodesRequest{RequestHeader: h(), NodesToRegister: []*ua.NodeID{node, named("none").UA()}},
		&ua.UnregisterNodesRequest{RequestHeader: h(), NodesToUnregister: []*ua.NodeID{node}},
		&ua.HistoryUpdateRequest{RequestHeader: h(),
			HistoryUpdateDetails: []*ua.ExtensionObject{ua.NewExtensionObject(nil)}},
		&ua.DeleteSubscriptionsRequest{RequestHeader: h(), SubscriptionIDs: []uint32{1, 2}},
	}
}

// endings are requests after which a session is another one, or whose answer waits
// once the session has a subscription: each is tried on a session of its own.
func endings(token *ua.NodeID) []any {
	h := func() *ua.RequestHeader { return header(token) }
	return []any{
		&ua.ActivateSessionRequest{
			RequestHeader: h(), ClientSignature: &ua.SignatureData{Algorithm: "x", Signature: []byte{1}},
			UserTokenSignature: &ua.SignatureData{},
			UserIdentityToken: ua.NewExtensionObject(
				&ua.UserNameIdentityToken{PolicyID: policyUserName, UserName: "joe", Password: []byte("secret"),
					EncryptionAlgorithm: "x"}),
		},
		&ua.CloseSessionRequest{RequestHeader: h(), DeleteSubscriptions: true},
		&ua.PublishRequest{RequestHeader: h(),
			SubscriptionAcknowledgements: []*ua.SubscriptionAcknowledgement{{SubscriptionID: 1, SequenceNumber: 1}}},
	}
}

// FuzzDispatch overwrites bytes of a request of a valid session, behind its token, and
// cuts it. The result is answered, or ends the connection.
func FuzzDispatch(f *testing.F) {
	l := loud{slog.DiscardHandler, make(chan string, 1)}
	k, s, url := historic(f, func(c *Config) { c.Log = slog.New(l) })
	s.Set(named("taga0"), dataValue(f, []int32{1, 2, 3}))
	k.ten(f, named("taga0"))
	for i := range 5 {
		k.events = append(k.events, happened(f, second(i), uint16(i)))
	}
	c, token := newSession(f, url)
	kinds := requests(token)
	for i := range len(kinds) + len(endings(token)) {
		f.Add(uint8(i), uint16(0), []byte{}, uint16(0))
		f.Add(uint8(i), uint16(20), []byte{0xff, 0xff, 0xff, 0x7f}, uint16(0))
		f.Add(uint8(i), uint16(3), []byte{0xff}, uint16(5))
	}
	f.Fuzz(func(t *testing.T, kind uint8, at uint16, patch []byte, cut uint16) {
		if c.Err() != nil { // it was closed, as it may be
			c, token = newSession(t, url)
			kinds = requests(token)
		}
		c, request := c, any(nil)
		if n := int(kind) % (len(kinds) + len(endings(token))); n < len(kinds) {
			request = kinds[n]
		} else {
			own, mine := newSession(t, url)
			defer own.Close()
			c, request = own, endings(mine)[n-len(kinds)]
		}
		body, err := channel.Encode(request)
		if err != nil {
			t.Fatal(err)
		}
		const head = 43 // the type and the token
		behind := body[head:]
		if int(at) < len(behind) {
			copy(behind[at:], patch)
		}
		body = body[:len(body)-int(cut)%len(behind)]
		ctx := await.Context(t)
		_, _ = c.Do(ctx, body)
		if ctx.Err() != nil {
			t.Errorf("no answer, and the connection is open: %x", body)
		}
		select {
		case what := <-l.broke:
			t.Errorf("%s: %x", what, body)
		default:
		}
	})
}
