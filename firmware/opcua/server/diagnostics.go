package server

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/subscription"
	"heliograph/firmware/platform/text"
)

// totals are the counters of ServerDiagnosticsSummary (OPC 10000-5 §12.9) that are not kept
// elsewhere.
type totals struct {
	rejectedSessions, insecureSessions, insecureRequests, timeouts, aborts atomic.Uint64
}

// clientInfo is what a client has sent about itself.
type clientInfo struct {
	name, server, endpoint string
	client                 ua.ApplicationDescription
	locales                []string
}

func (q *query) clientInfo(req *ua.CreateSessionRequest) clientInfo {
	a := clientInfo{name: clientText(req.SessionName), server: clientText(req.ServerURI),
		endpoint: clientText(req.EndpointURL)}
	a.client = ua.ApplicationDescription{ApplicationName: ua.NewLocalizedText(""), DiscoveryURLs: []string{},
		ApplicationType: ua.ApplicationTypeClient}
	if d := req.ClientDescription; d != nil {
		a.client.ApplicationURI, a.client.ProductURI = clientText(d.ApplicationURI), clientText(d.ProductURI)
		if d.ApplicationName != nil {
			a.client.ApplicationName = ua.NewLocalizedText(clientText(d.ApplicationName.Text))
		}
	}
	return a
}

// clientText returns a text of a client for diagnostics: of bounded length, a copy, so that the
// request is not kept, and valid UTF-8, since a client that reads it may refuse anything else.
func clientText(s string) string {
	return strings.Clone(strings.ToValidUTF8(text.Clip(s, maxClientText), "?"))
}

// clientLocales copies the LocaleIds of a client. They are shown in diagnostics only: texts have
// the locale in which the transmitter read them.
func clientLocales(list []string) (kept []string) {
	for _, l := range list[:min(len(list), maxLocales)] {
		kept = append(kept, clientText(l))
	}
	return kept
}

// serviceCounters counts the requests of a session, by encoding id.
type serviceCounters map[uint32]*struct{ total, failed atomic.Uint32 }

func newUsed(counted []uint32) serviceCounters {
	u := serviceCounters{}
	for _, n := range counted {
		u[n] = new(struct{ total, failed atomic.Uint32 })
	}
	return u
}

func (u serviceCounters) count(n uint32) *ua.ServiceCounterDataType {
	if c := u[n]; c != nil {
		return &ua.ServiceCounterDataType{TotalCount: c.total.Load(), ErrorCount: c.failed.Load()}
	}
	return &ua.ServiceCounterDataType{}
}

func (u serviceCounters) all() *ua.ServiceCounterDataType {
	sum := &ua.ServiceCounterDataType{}
	for n := range u {
		c := u.count(n)
		sum.TotalCount += c.TotalCount
		sum.ErrorCount += c.ErrorCount
	}
	return sum
}

// isSecurityRefusal reports whether a code counts as rejected for security reasons.
func isSecurityRefusal(code ua.StatusCode) bool {
	switch code {
	case ua.StatusBadSessionIDInvalid, ua.StatusBadSessionNotActivated, ua.StatusBadSecureChannelIDInvalid,
		ua.StatusBadIdentityTokenInvalid,
		ua.StatusBadIdentityTokenRejected, ua.StatusBadUserAccessDenied, ua.StatusBadUserSignatureInvalid,
		ua.StatusBadApplicationSignatureInvalid,
		ua.StatusBadSecurityChecksFailed, ua.StatusBadSecurityModeInsufficient, ua.StatusBadSecurityPolicyRejected,
		ua.StatusBadNonceInvalid,
		ua.StatusBadCertificateURIInvalid:
		return true
	}
	return false
}

// countRefusal counts a request that was refused as a whole.
func (q *query) countRefusal(code ua.StatusCode) {
	s := q.server
	s.refused.Add(1)
	if isSecurityRefusal(code) {
		s.totals.insecureRequests.Add(1)
	}
	if q.head.TypeID == id.CreateSessionRequest_Encoding_DefaultBinary ||
		q.head.TypeID == id.ActivateSessionRequest_Encoding_DefaultBinary {
		s.totals.rejectedSessions.Add(1)
		if isSecurityRefusal(code) {
			s.totals.insecureSessions.Add(1)
		}
	}
}

func (s *Server) diagnosticsSummary() *ua.ServerDiagnosticsSummaryDataType {
	st := s.Stats()
	channels := s.channels.Refused()
	return &ua.ServerDiagnosticsSummaryDataType{
		CurrentSessionCount: uint32(st.Sessions), CumulatedSessionCount: s.sessions.totalCreated(),
		SecurityRejectedSessionCount:  uint32(s.totals.insecureSessions.Load()),
		RejectedSessionCount:          uint32(s.totals.rejectedSessions.Load()),
		SessionTimeoutCount:           uint32(s.totals.timeouts.Load()),
		SessionAbortCount:             uint32(s.totals.aborts.Load()),
		CurrentSubscriptionCount:      uint32(st.Subscriptions.Subscriptions),
		CumulatedSubscriptionCount:    uint32(st.Subscriptions.Created),
		PublishingIntervalCount:       uint32(s.engine.Diagnostics().Intervals),
		SecurityRejectedRequestsCount: uint32(s.totals.insecureRequests.Load() + channels),
		RejectedRequestsCount:         uint32(st.Refused + st.Subscriptions.Refused),
	}
}

// diagnosticValue returns a value of ServerDiagnostics (OPC 10000-5 §6.3.3). It is called with
// the address space locked, and takes no other lock than that of the sessions.
func (s *Server) diagnosticValue(number uint32) (any, bool) {
	switch number {
	case id.Server_ServerDiagnostics_EnabledFlag:
		return true, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary:
		return ua.NewExtensionObject(s.diagnosticsSummary()), true
	case id.Server_ServerDiagnostics_SamplingIntervalDiagnosticsArray:
		return noObjects, true
	case id.Server_ServerDiagnostics_SubscriptionDiagnosticsArray:
		return s.subscriptionArray.value(s.cfg.Now(), s.subscriptionDiagnostics), true
	case id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionDiagnosticsArray:
		return s.sessionArray.value(s.cfg.Now(), s.sessionDiagnostics), true
	case id.Server_ServerDiagnostics_SessionsDiagnosticsSummary_SessionSecurityDiagnosticsArray:
		return ua.StatusBadUserAccessDenied, true // for administrators, and no user is one
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_ServerViewCount:
		return s.diagnosticsSummary().ServerViewCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSessionCount:
		return s.diagnosticsSummary().CurrentSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSessionCount:
		return s.diagnosticsSummary().CumulatedSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedSessionCount:
		return s.diagnosticsSummary().SecurityRejectedSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedSessionCount:
		return s.diagnosticsSummary().RejectedSessionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SessionTimeoutCount:
		return s.diagnosticsSummary().SessionTimeoutCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SessionAbortCount:
		return s.diagnosticsSummary().SessionAbortCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CurrentSubscriptionCount:
		return s.diagnosticsSummary().CurrentSubscriptionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_CumulatedSubscriptionCount:
		return s.diagnosticsSummary().CumulatedSubscriptionCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_PublishingIntervalCount:
		return s.diagnosticsSummary().PublishingIntervalCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_SecurityRejectedRequestsCount:
		return s.diagnosticsSummary().SecurityRejectedRequestsCount, true
	case id.Server_ServerDiagnostics_ServerDiagnosticsSummary_RejectedRequestsCount:
		return s.diagnosticsSummary().RejectedRequestsCount, true
	}
	return nil, false
}

// encodedArray is an array of diagnostics as a Variant, at most diagnosticsMaxAge old.
type encodedArray struct {
	newest atomic.Pointer[encoded]
}

type encoded struct {
	at  time.Time
	raw []byte
}

func (a *encodedArray) value(now time.Time, collect func() []*ua.ExtensionObject) any {
	if e := a.newest.Load(); e != nil && now.Sub(e.at) < diagnosticsMaxAge {
		return e.raw
	}
	e := &encoded{at: now, raw: noObjects}
	if list := collect(); len(list) > 0 {
		var err error
		if e.raw, err = ua.MustVariant(list).Encode(); err != nil {
			return ua.StatusBadInternalError
		}
	}
	a.newest.Store(e)
	return e.raw
}

// subscriptionDiagnostics returns SubscriptionDiagnosticsArray.
func (s *Server) subscriptionDiagnostics() []*ua.ExtensionObject {
	ids := s.sessions.ids()
	list := []*ua.ExtensionObject{}
	for _, d := range s.engine.Diagnostics().Subscriptions {
		data := d.Data
		if data.SessionID = ids[d.Session]; data.SessionID == nil {
			data.SessionID = ua.NewTwoByteNodeID(0)
		}
		list = append(list, ua.NewExtensionObject(&data))
	}
	return list
}

// sessionDiagnostics returns SessionDiagnosticsArray, the oldest session first.
func (s *Server) sessionDiagnostics() []*ua.ExtensionObject {
	held := s.engine.Diagnostics().Sessions
	list := []*ua.ExtensionObject{}
	for _, o := range s.sessions.infos() {
		list = append(list, ua.NewExtensionObject(o.diagnostics(held[o.number])))
	}
	return list
}

// sessionInfo is what diagnostics show of a session.
type sessionInfo struct {
	number               uint32
	id                   rawvalue.NodeID
	info                 clientInfo
	timeout              time.Duration
	created, lastContact time.Time
	counters             serviceCounters
}

func (ss *sessions) infos() []sessionInfo {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	list := make([]sessionInfo, 0, len(ss.byToken))
	for _, o := range ss.byToken {
		list = append(list,
			sessionInfo{number: o.number, id: o.id, info: o.info, timeout: o.timeout, created: o.created,
				lastContact: o.lastContact, counters: o.counters})
	}
	slices.SortFunc(list, func(a, b sessionInfo) int { return cmp.Compare(a.number, b.number) })
	return list
}

// ids returns SessionIds by session number.
func (ss *sessions) ids() map[uint32]*ua.NodeID {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ids := map[uint32]*ua.NodeID{}
	for _, o := range ss.byToken {
		ids[o.number] = o.id.UA()
	}
	return ids
}

func (o sessionInfo) diagnostics(held subscription.SessionDiagnostics) *ua.SessionDiagnosticsDataType {
	u := o.counters
	locales := o.info.locales
	if locales == nil {
		locales = []string{}
	}
	return &ua.SessionDiagnosticsDataType{
		SessionID: o.id.UA(), SessionName: o.info.name, ClientDescription: &o.info.client, ServerURI: o.info.server,
		EndpointURL: o.info.endpoint,
		LocaleIDs:   locales, ActualSessionTimeout: float64(o.timeout.Milliseconds()), ClientConnectionTime: o.created,
		ClientLastContactTime:     o.lastContact,
		CurrentSubscriptionsCount: uint32(held.Subscriptions), CurrentMonitoredItemsCount: uint32(held.Items),
		CurrentPublishRequestsInQueue: uint32(held.Waiting),
		TotalRequestCount:             u.all(), ReadCount: u.count(id.ReadRequest_Encoding_DefaultBinary),
		HistoryReadCount:                   u.count(id.HistoryReadRequest_Encoding_DefaultBinary),
		WriteCount:                         u.count(id.WriteRequest_Encoding_DefaultBinary),
		HistoryUpdateCount:                 u.count(id.HistoryUpdateRequest_Encoding_DefaultBinary),
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
