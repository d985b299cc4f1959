package subscription

import (
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/event"
)

// call is a request and how it is answered.
type call struct {
	*Engine
	client  *Client
	handle  uint32
	fields  event.Fields // for the filters of the request
	respond func([]byte)
}

// Serve answers a request. respond is called exactly once, for a Publish much later,
// from any goroutine.
func (e *Engine) Serve(c *Client, req any, respond func(body []byte)) {
	r, ok := req.(ua.Request)
	if !ok || r.Header() == nil {
		respond(channel.Fault(0, ua.StatusBadDecodingError, e.cfg.Now()))
		return
	}
	k := &call{Engine: e, client: c, handle: r.Header().RequestHandle, respond: respond}
	switch req := req.(type) {
	case *ua.CreateSubscriptionRequest:
		k.createSubscription(req)
	case *ua.ModifySubscriptionRequest:
		k.modifySubscription(req)
	case *ua.SetPublishingModeRequest:
		k.setPublishingMode(req)
	case *ua.DeleteSubscriptionsRequest:
		k.deleteSubscriptions(req)
	case *ua.TransferSubscriptionsRequest:
		k.transferSubscriptions(req)
	case *ua.PublishRequest:
		k.servePublish(req)
	case *ua.RepublishRequest:
		k.republish(req)
	case *ua.CreateMonitoredItemsRequest:
		k.createItems(req)
	case *ua.ModifyMonitoredItemsRequest:
		k.modifyItems(req)
	case *ua.DeleteMonitoredItemsRequest:
		k.deleteItems(req)
	case *ua.SetMonitoringModeRequest:
		k.setMonitoringMode(req)
	case *ua.SetTriggeringRequest:
		k.setTriggering(req)
	default:
		k.fault(ua.StatusBadServiceUnsupported)
	}
}

func (k *call) fault(code ua.StatusCode) {
	k.refused.Add(1)
	k.respond(channel.Fault(k.handle, code, k.cfg.Now()))
}

func (k *call) header() *ua.ResponseHeader {
	return &ua.ResponseHeader{
		Timestamp: k.cfg.Now(), RequestHandle: k.handle, ServiceDiagnostics: &ua.DiagnosticInfo{},
		StringTable:      []string{},
		AdditionalHeader: ua.NewExtensionObject(nil),
	}
}

func (k *call) reply(resp any) {
	body, err := channel.Encode(resp)
	if err != nil {
		k.cfg.Log.Error("response not encoded", "error", err)
		k.fault(ua.StatusBadEncodingError)
		return
	}
	k.respond(body)
}

// ownSubscription returns a subscription of the caller's session, nil if there is none with
// that id. mu must be held.
func (k *call) ownSubscription(id uint32) *subscription {
	if s := k.subs[id]; s != nil && s.session == k.client.Session {
		return s
	}
	return nil
}

// withSubscription calls do with a subscription of the caller's session, and resets its
// lifetime counter (OPC 10000-4 §5.14.1.1).
func (k *call) withSubscription(id uint32, do func(s *subscription)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.ownSubscription(id)
	if s == nil {
		k.fault(ua.StatusBadSubscriptionIDInvalid)
		return
	}
	s.lifetimeCounter = 0
	do(s)
}

// checkCount refuses a request with no operations, or too many.
func (k *call) checkCount(n int) bool {
	switch {
	case n == 0:
		k.fault(ua.StatusBadNothingToDo)
	case n > k.cfg.Limits.Operations:
		k.fault(ua.StatusBadTooManyOperations)
	default:
		return true
	}
	return false
}
