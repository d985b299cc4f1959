package server

import (
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/subscription"
)

const (
	securityArray = id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray
	rejectedCount = id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedRequestsCount
)

// diagnosticNodes are the ones of a server that shows all.
func diagnosticNodes(t *testing.T, s *Server) {
	t.Helper()
	var changes []addrspace.Change
	for n := uint32(id.Server_ServerDiagnostics); n <= securityArray; n++ {
		changes = append(changes,
			addrspace.Change{Kind: addrspace.Put,
				Node: addrspace.Node{ID: ns0(n),
					Attributes: []addrspace.Attribute{{ID: ua.AttributeIDNodeClass,
						Value: dataValue(t, int32(ua.NodeClassVariable))}}}})
	}
	if _, err := s.cfg.Space.Apply(changes); err != nil {
		t.Fatal(err)
	}
}

func diagnosticOf(t *testing.T, c *channel.Client, token *ua.NodeID, n uint32) (any, ua.StatusCode) {
	t.Helper()
	resp, code := ask(t, c, readOf(token, ns0(n), ua.AttributeIDValue, nil))
	if code != ua.StatusOK {
		t.Fatal(code)
	}
	dv := resp.(*ua.ReadResponse).Results[0]
	if dv.Value == nil {
		return nil, dv.Status
	}
	return dv.Value.Value(), dv.Status
}

func summaryOf(t *testing.T, c *channel.Client, token *ua.NodeID) ua.ServerDiagnosticsSummaryDataType {
	t.Helper()
	v, _ := diagnosticOf(t, c, token, id.Server_ServerDiagnostics_ServerDiagnosticsSummary)
	return *v.(*ua.ExtensionObject).Value.(*ua.ServerDiagnosticsSummaryDataType)
}

// A client that reads what another one says of itself may refuse bytes that are not UTF-8.
func TestTextsOfAClientAreShownAsUTF8OfBoundedLength(t *testing.T) {
	s, url := start(t, nil)
	diagnosticNodes(t, s)
	c, token := newSession(t, url)
	app := &ua.ApplicationDescription{ApplicationURI: "b\xffc", ApplicationName: ua.NewLocalizedText("")}
	if code := codeOf(t, open(t, url), &ua.CreateSessionRequest{RequestHeader: header(nil), ClientDescription: app,
		RequestedSessionTimeout: 3_600_000, SessionName: strings.Repeat("a", maxClientText-1) + "ä",
	}); code != ua.StatusOK {
		t.Fatal(code)
	}
	v, _ := diagnosticOf(t, c, token, id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray)
	got := v.([]*ua.ExtensionObject)[1].Value.(*ua.SessionDiagnosticsDataType)
	if want := strings.Repeat("a", maxClientText-1); got.SessionName != want {
		t.Errorf("SessionName: got %q, want %q", got.SessionName, want)
	}
	if got := got.ClientDescription.ApplicationURI; got != "b?c" {
		t.Errorf("ApplicationURI: got %q, want %q", got, "b?c")
	}
}

func TestDiagnosticsAreTrue(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	diagnosticNodes(t, s)
	c, token := newSession(t, url)
	if v, _ := diagnosticOf(t, c, token, id.Server_ServerDiagnostics_EnabledFlag); v != true {
		t.Errorf("EnabledFlag is %v", v)
	}
	before := summaryOf(t, c, token)

	_, _ = ask(t, c, readRequest(ua.NewByteStringNodeID(0, []byte("invented")), stateItem())) // rejected, for security
	_, _ = ask(t, c, &ua.ReadRequest{RequestHeader: header(token)})                           // rejected: nothing to do
	wrong := open(t, url)
	made, _ := create(t, wrong)
	_, _ = ask(t, wrong,
		&ua.ActivateSessionRequest{RequestHeader: header(made.AuthenticationToken),
			ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{},
			UserIdentityToken: ua.NewExtensionObject(
				&ua.UserNameIdentityToken{PolicyID: policyUserName, UserName: "joe"})})
	resp, _ := ask(t, c,
		&ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 1000,
			RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 100, Priority: 3})
	sub := resp.(*ua.CreateSubscriptionResponse).SubscriptionID
	if code := codeOf(t, c, monitor(token, sub, named("taga0"), ua.AttributeIDValue, nil, nil)); code != ua.StatusOK {
		t.Fatal(code)
	}
	want := before
	want.CurrentSessionCount++
	want.CumulatedSessionCount++
	want.RejectedSessionCount++
	want.SecurityRejectedSessionCount++
	want.SecurityRejectedRequestsCount += 2
	want.RejectedRequestsCount += 3
	want.CurrentSubscriptionCount++
	want.CumulatedSubscriptionCount++
	want.PublishingIntervalCount++
	await.True(t, "the summary is true",
		func() bool { return reflect.DeepEqual(summaryOf(t, c, token), want) || t.Failed() })
	for n, wanted := range map[uint32]uint32{
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedSessionCount:       want.RejectedSessionCount,
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSubscriptionCount: 1,
		id.Server_ServerDiagnostics_ServerDiagnosticsSummary_PublishingIntervalCount:    1,
		rejectedCount: want.SecurityRejectedRequestsCount,
	} {
		if v, _ := diagnosticOf(t, c, token, n); v != wanted {
			t.Errorf("%s is %v, want %d", id.Name(n), v, wanted)
		}
	}

	v, _ := diagnosticOf(t, c, token, id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray)
	sessions := v.([]*ua.ExtensionObject)
	if len(sessions) != 2 {
		t.Fatalf("got %d sessions, want 2", len(sessions))
	}
	mine := sessions[0].Value.(*ua.SessionDiagnosticsDataType)
	if mine.SessionName != "test" || mine.ActualSessionTimeout != 3_600_000 || mine.CurrentSubscriptionsCount != 1 ||
		mine.CurrentMonitoredItemsCount != 1 ||
		mine.CreateMonitoredItemsCount.TotalCount != 1 || mine.CreateSubscriptionCount.TotalCount != 1 ||
		mine.ReadCount.ErrorCount != 1 ||
		mine.TotalRequestCount.TotalCount < mine.ReadCount.TotalCount+2 || mine.ClientConnectionTime.IsZero() ||
		len(mine.LocaleIDs) != 1 || mine.LocaleIDs[0] != "de" {
		t.Errorf("got %+v", mine)
	}
	var subs []*ua.ExtensionObject
	await.True(t, "the subscription is listed", func() bool {
		v, _ := diagnosticOf(t, c, token, id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray)
		subs, _ = v.([]*ua.ExtensionObject)
		return len(subs) == 1 && subs[0].Value.(*ua.SubscriptionDiagnosticsDataType).MonitoredItemCount == 1
	})
	if d := subs[0].Value.(*ua.SubscriptionDiagnosticsDataType); d.SubscriptionID != sub ||
		d.SessionID.String() != mine.SessionID.String() || d.Priority != 3 ||
		d.PublishingInterval != 1000 || d.MaxKeepAliveCount != 100 || d.NextSequenceNumber != 1 {
		t.Errorf("got %+v", d)
	}
	// for administrators only, and no user of a mirror is one
	if _, code := diagnosticOf(t, c, token,
		securityArray); code != ua.StatusBadUserAccessDenied {
		t.Errorf("SessionSecurityDiagnosticsArray: got %v, want Bad_UserAccessDenied", code)
	}
	if v, _ := diagnosticOf(t, c, token, id.Server_ServerDiagnostics_SamplingIntervalDiagnosticsArray); v == nil {
		t.Error("no SamplingIntervalDiagnosticsArray")
	}
}

// What a client says of itself is not kept for it: it may say a lot, again and again.
func TestLongClientDescriptionsAreNotKept(t *testing.T) {
	_, url := start(t, nil)
	locales := slices.Repeat([]string{strings.Repeat("x", 30_000)}, 100)
	before := heap()
	for range 30 {
		c, token := newSession(t, url)
		_, code := ask(t, c, &ua.ActivateSessionRequest{
			RequestHeader: header(token), ClientSignature: &ua.SignatureData{}, UserTokenSignature: &ua.SignatureData{},
			LocaleIDs:         locales,
			UserIdentityToken: ua.NewExtensionObject(&ua.AnonymousIdentityToken{PolicyID: policyAnonymous}),
		})
		if code != ua.StatusOK {
			t.Fatal(code)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 64<<20 {
		t.Errorf("30 sessions that sent 3 MB of locales each hold %d MB, want at most 64", grown>>20)
	}
}

// A client may read or sample the array of all sessions ten thousand times in one request: it is
// encoded once a second.
func TestDiagnosticArraysAreEncodedOnceASecond(t *testing.T) {
	var now atomic.Int64
	s, url := start(t, func(c *Config) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(now.Load())) }
	})
	factory(t, s)
	diagnosticNodes(t, s)
	array := ns0(id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray)
	for range 10 {
		newSession(t, url)
	}
	var raw []byte
	read := func() { raw = s.AppendAttribute(raw[:0], &subscription.Client{}, array, ua.AttributeIDValue) }
	now.Add(int64(diagnosticsMaxAge))
	if got := testing.AllocsPerRun(10, read); got > 20 {
		t.Errorf("got %v allocations of a read, want at most 20", got)
	}
	before := len(raw)
	newSession(t, url)
	now.Add(int64(diagnosticsMaxAge))
	if read(); len(raw) <= before {
		t.Errorf("got %d bytes a second after another session was opened, want more than %d", len(raw), before)
	}
}
