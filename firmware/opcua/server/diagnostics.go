package server

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
)

// Our own choices: what is kept of what clients say of themselves.
const (
	maxNote    = 256 // bytes of a name or URI
	maxLocales = 8
)

// totals are the counters of ServerDiagnosticsSummary (OPC 10000-5 §12.9) that nothing
// else keeps.
type totals struct {
	rejectedSessions, insecureSessions, insecureRequests, timeouts, aborts atomic.Uint64
}

// about is what a client says of itself.
type about struct {
	name, server, endpoint string
	client                 ua.ApplicationDescription
	locales                []string
}

func (q *query) about(req *ua.CreateSessionRequest) about {
	a := about{name: clip(req.SessionName), server: clip(req.ServerURI), endpoint: clip(req.EndpointURL)}
	a.client = ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText(""), DiscoveryURLs: []string{}, ApplicationType: ua.ApplicationTypeClient}
	if d := req.ClientDescription; d != nil {
		a.client.ApplicationURI, a.client.ProductURI = clip(d.ApplicationURI), clip(d.ProductURI)
		if d.ApplicationName != nil {
			a.client.ApplicationName = ua.NewLocalizedText(clip(d.ApplicationName.Text))
		}
	}
	return a
}

func clip(s string) string { return string([]byte(s[:min(len(s), maxNote)])) } // a copy: s may be part of a request

// localesOf keeps what a client would like texts in. They are served as the source gave
// them to the transmitter, in one language.
func localesOf(list []string) (kept []string) {
	for _, l := range list[:min(len(list), maxLocales)] {
		kept = append(kept, clip(l))
	}
	return kept
}

// used counts the requests of a session, by the number of their encoding.
type used map[uint32]*struct{ total, failed atomic.Uint32 }

func newUsed(counted []uint32) used {
	u := used{}
	for _, n := range counted {
		u[n] = new(struct{ total, failed atomic.Uint32 })
	}
	return u
}

func (u used) count(n uint32) *ua.ServiceCounterDataType {
	if c := u[n]; c != nil {
		return &ua.ServiceCounterDataType{TotalCount: c.total.Load(), ErrorCount: c.failed.Load()}
	}
	return &ua.ServiceCounterDataType{}
}

func (u used) all() *ua.ServiceCounterDataType {
	sum := &ua.ServiceCounterDataType{}
	for n := range u {
		c := u.count(n)
		sum.TotalCount += c.TotalCount
		sum.ErrorCount += c.ErrorCount
	}
	return sum
}

// insecure tells whether a code refuses somebody for security's sake.
func insecure(code ua.StatusCode) bool {
	switch code {
	case ua.StatusBadSessionIDInvalid, ua.StatusBadSessionNotActivated, ua.StatusBadSecureChannelIDInvalid, ua.StatusBadIdentityTokenInvalid,
		ua.StatusBadIdentityTokenRejected, ua.StatusBadUserAccessDenied, ua.StatusBadUserSignatureInvalid, ua.StatusBadApplicationSignatureInvalid,
		ua.StatusBadSecurityChecksFailed, ua.StatusBadSecurityModeInsufficient, ua.StatusBadSecurityPolicyRejected, ua.StatusBadNonceInvalid,
		ua.StatusBadCertificateURIInvalid:
		return true
	}
	return false
}

// rejected counts a request that is refused as a whole.
func (q *query) rejected(code ua.StatusCode) {
	s := q.s
	s.refused.Add(1)
	if insecure(code) {
		s.totals.insecureRequests.Add(1)
	}
	if q.head.TypeID == id.CreateSessionRequest_Encoding_DefaultBinary || q.head.TypeID == id.ActivateSessionRequest_Encoding_DefaultBinary {
		s.totals.rejectedSessions.Add(1)
		if insecure(code) {
			s.totals.insecureSessions.Add(1)
		}
	}
}

func (s *Server) summary() *ua.ServerDiagnosticsSummaryDataType {
	st := s.Stats()
	channels := s.channels.Refused()
	return &ua.ServerDiagnosticsSummaryDataType{
		CurrentSessionCount: uint32(st.Sessions), CumulatedSessionCount: s.sessions.cumulated(),
		SecurityRejectedSessionCount: uint32(s.totals.insecureSessions.Load()), RejectedSessionCount: uint32(s.totals.rejectedSessions.Load()),
		SessionTimeoutCount: uint32(s.totals.timeouts.Load()), SessionAbortCount: uint32(s.totals.aborts.Load()),
		CurrentSubscriptionCount: uint32(st.Subscriptions.Subscriptions), CumulatedSubscriptionCount: uint32(st.Subscriptions.Made),
		PublishingIntervalCount:       uint32(s.engine.Diagnostics().Intervals),
		SecurityRejectedRequestsCount: uint32(s.totals.insecureRequests.Load() + channels),
		RejectedRequestsCount:         uint32(st.Refused + st.Subscriptions.Refused),
	}
}

// diagnostic answers ServerDiagnostics (OPC 10000-5 §6.3.3). It is called while the
// address space is looked at, and takes no lock but that of the sessions.
func (s *Server) diagnostic(number uint32) (any, bool) {
	switch number {
	case id.Server_ServerDiagnostics_EnabledFlag:
		return true, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary:
		return ua.NewExtensionObject(s.summary()), true
	case id.Server_ServerDiagnostics_SamplingIntervalDiagnosticsArray:
		return objects, true
	case id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray:
		return s.subscriptionDiagnostics(), true
	case id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray:
		return s.sessionDiagnostics(), true
	case id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray:
		return ua.StatusBadUserAccessDenied, true // it is for administrators, and nobody is one here
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_ServerViewCount:
		return s.summary().ServerViewCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount:
		return s.summary().CurrentSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSessionCount:
		return s.summary().CumulatedSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedSessionCount:
		return s.summary().SecurityRejectedSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedSessionCount:
		return s.summary().RejectedSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SessionTimeoutCount:
		return s.summary().SessionTimeoutCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SessionAbortCount:
		return s.summary().SessionAbortCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSubscriptionCount:
		return s.summary().CurrentSubscriptionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSubscriptionCount:
		return s.summary().CumulatedSubscriptionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_PublishingIntervalCount:
		return s.summary().PublishingIntervalCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedRequestsCount:
		return s.summary().SecurityRejectedRequestsCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedRequestsCount:
		return s.summary().RejectedRequestsCount, true
	}
	return nil, false
}

// subscriptionDiagnostics lists all subscriptions, as they were a moment ago.
func (s *Server) subscriptionDiagnostics() any {
	ids := s.sessions.ids()
	list := []*ua.ExtensionObject{}
	for _, d := range s.engine.Diagnostics().Subscriptions {
		told := d.Told
		if told.SessionID = ids[d.Session]; told.SessionID == nil {
			told.SessionID = ua.NewTwoByteNodeID(0)
		}
		list = append(list, ua.NewExtensionObject(&told))
	}
	if len(list) == 0 {
		return objects
	}
	return list
}

// sessionDiagnostics lists all sessions, the oldest first.
func (s *Server) sessionDiagnostics() any {
	held := s.engine.Diagnostics().Sessions
	list := []*ua.ExtensionObject{}
	for _, o := range s.sessions.all() {
		list = append(list, ua.NewExtensionObject(o.told(held[o.number])))
	}
	if len(list) == 0 {
		return objects
	}
	return list
}

// noted is what diagnostics tell of a session.
type noted struct {
	number         uint32
	id             rawvalue.NodeID
	about          about
	timeout        time.Duration
	created, heard time.Time
	used           used
}

func (ss *sessions) all() []noted {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	list := make([]noted, 0, len(ss.byToken))
	for _, o := range ss.byToken {
		list = append(list, noted{number: o.number, id: o.id, about: o.about, timeout: o.timeout, created: o.created, heard: o.heard, used: o.used})
	}
	slices.SortFunc(list, func(a, b noted) int { return cmp.Compare(a.number, b.number) })
	return list
}

// ids returns the SessionIds by the sessions' numbers.
func (ss *sessions) ids() map[uint32]*ua.NodeID {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ids := map[uint32]*ua.NodeID{}
	for _, o := range ss.byToken {
		ids[o.number] = o.id.UA()
	}
	return ids
}

func (o noted) told(held subscription.Held) *ua.SessionDiagnosticsDataType {
	u := o.used
	locales := o.about.locales
	if locales == nil {
		locales = []string{}
	}
	return &ua.SessionDiagnosticsDataType{
		SessionID: o.id.UA(), SessionName: o.about.name, ClientDescription: &o.about.client, ServerURI: o.about.server, EndpointURL: o.about.endpoint,
		LocaleIDs: locales, ActualSessionTimeout: float64(o.timeout.Milliseconds()), ClientConnectionTime: o.created, ClientLastContactTime: o.heard,
		CurrentSubscriptionsCount: uint32(held.Subscriptions), CurrentMonitoredItemsCount: uint32(held.Items), CurrentPublishRequestsInQueue: uint32(held.Waiting),
		TotalRequestCount: u.all(), ReadCount: u.count(id.ReadRequest_Encoding_DefaultBinary), HistoryReadCount: u.count(id.HistoryReadRequest_Encoding_DefaultBinary),
		WriteCount: u.count(id.WriteRequest_Encoding_DefaultBinary), HistoryUpdateCount: u.count(id.HistoryUpdateRequest_Encoding_DefaultBinary),
		CallCount:                          u.count(id.CallRequest_Encoding_DefaultBinary),
		CreateMonitoredItemsCount:          u.count(id.CreateMonitoredItemsRequest_Encoding_DefaultBinary),
		ModifyMonitoredItemsCount:          u.count(id.ModifyMonitoredItemsRequest_Encoding_DefaultBinary),
		SetMonitoringModeCount:             u.count(id.SetMonitoringModeRequest_Encoding_DefaultBinary),
		SetTriggeringCount:                 u.count(id.SetTriggeringRequest_Encoding_DefaultBinary),
		DeleteMonitoredItemsCount:          u.count(id.DeleteMonitoredItemsRequest_Encoding_DefaultBinary),
		CreateSubscriptionCount:            u.count(id.CreateSubscriptionRequest_Encoding_DefaultBinary),
		ModifySubscriptionCount:            u.count(id.ModifySubscriptionRequest_Encoding_DefaultBinary),
		SetPublishingModeCount:             u.count(id.SetPublishingModeRequest_Encoding_DefaultBinary),
		PublishCount:                       u.count(id.PublishRequest_Encoding_DefaultBinary),
		RepublishCount:                     u.count(id.RepublishRequest_Encoding_DefaultBinary),
		TransferSubscriptionsCount:         u.count(id.TransferSubscriptionsRequest_Encoding_DefaultBinary),
		DeleteSubscriptionsCount:           u.count(id.DeleteSubscriptionsRequest_Encoding_DefaultBinary),
		AddNodesCount:                      u.count(id.AddNodesRequest_Encoding_DefaultBinary),
		AddReferencesCount:                 u.count(id.AddReferencesRequest_Encoding_DefaultBinary),
		DeleteNodesCount:                   u.count(id.DeleteNodesRequest_Encoding_DefaultBinary),
		DeleteReferencesCount:              u.count(id.DeleteReferencesRequest_Encoding_DefaultBinary),
		BrowseCount:                        u.count(id.BrowseRequest_Encoding_DefaultBinary),
		BrowseNextCount:                    u.count(id.BrowseNextRequest_Encoding_DefaultBinary),
		TranslateBrowsePathsToNodeIDsCount: u.count(id.TranslateBrowsePathsToNodeIDsRequest_Encoding_DefaultBinary),
		QueryFirstCount:                    u.count(id.QueryFirstRequest_Encoding_DefaultBinary),
		QueryNextCount:                     u.count(id.QueryNextRequest_Encoding_DefaultBinary),
		RegisterNodesCount:                 u.count(id.RegisterNodesRequest_Encoding_DefaultBinary),
		UnregisterNodesCount:               u.count(id.UnregisterNodesRequest_Encoding_DefaultBinary),
	}
}
