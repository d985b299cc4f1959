package servertest

import (
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
)

// openSessions answers what every client asks first, for any user: there is one session
// for all.
func (s *Server) openSessions() {
	always := func(make func() ua.Response) Script {
		return func(Request) ([]byte, ua.StatusCode) { return s.Encode(make()), 0 }
	}
	s.script[id.GetEndpointsRequest_Encoding_DefaultBinary] = always(func() ua.Response {
		return &ua.GetEndpointsResponse{Endpoints: []*ua.EndpointDescription{{
			EndpointURL: Endpoint, SecurityPolicyURI: ua.SecurityPolicyURINone,
			SecurityMode: ua.MessageSecurityModeNone,
			Server: &ua.ApplicationDescription{ApplicationURI: "urn:plc",
				ApplicationName: ua.NewLocalizedText("plc")},
			UserIdentityTokens: []*ua.UserTokenPolicy{
				{PolicyID: "anyone", TokenType: ua.UserTokenTypeAnonymous},
			},
		}}}
	})
	s.script[id.CreateSessionRequest_Encoding_DefaultBinary] = always(func() ua.Response {
		return &ua.CreateSessionResponse{
			SessionID: ua.NewNumericNodeID(1, 7), AuthenticationToken: ua.NewNumericNodeID(0, 99),
			RevisedSessionTimeout: 60000, ServerNonce: channel.Nonce(),
			ServerSignature: &ua.SignatureData{},
		}
	})
	s.script[id.ActivateSessionRequest_Encoding_DefaultBinary] = always(func() ua.Response {
		return &ua.ActivateSessionResponse{ServerNonce: channel.Nonce()}
	})
	s.script[id.CloseSessionRequest_Encoding_DefaultBinary] = func(Request) ([]byte, ua.StatusCode) {
		return []byte{}, 0
	}
	s.script[id.DeleteSubscriptionsRequest_Encoding_DefaultBinary] = always(func() ua.Response {
		return &ua.DeleteSubscriptionsResponse{Results: []ua.StatusCode{0}}
	})
}

// Subscriptions answers CreateSubscription: created returns the subscription's number;
// the publishing interval is 100 ms.
func (s *Server) Subscriptions(keepAlive uint32, created func(Request) (number uint32)) {
	s.On(id.CreateSubscriptionRequest_Encoding_DefaultBinary, func(r Request) ([]byte, ua.StatusCode) {
		return s.Encode(&ua.CreateSubscriptionResponse{
			SubscriptionID: created(r), RevisedPublishingInterval: 100, RevisedLifetimeCount: 300,
			RevisedMaxKeepAliveCount: keepAlive,
		}), 0
	})
}

// Encode encodes a response of the library, without its header.
func (s *Server) Encode(r ua.Response) []byte {
	r.SetHeader(&ua.ResponseHeader{
		Timestamp: time.Now(), ServiceDiagnostics: &ua.DiagnosticInfo{}, StringTable: []string{},
		AdditionalHeader: ua.NewExtensionObject(nil),
	})
	b, err := channel.Encode(r)
	if err != nil {
		s.t.Error(err)
		return nil
	}
	_, rest, err := channel.PeekResponse(b)
	if err != nil {
		s.t.Error(err)
	}
	return rest
}
