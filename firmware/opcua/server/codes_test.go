package server

import (
	"testing"

	"github.com/gopcua/opcua/ua"
)

// Checks come in the order of OPC 10000-4: only what would have been valid is refused
// because this is a mirror.
func TestRefusalsOfEveryService(t *testing.T) {
	s, url := start(t, nil)
	factory(t, s)
	c, token := newSession(t, url)
	resp, _ := ask(t, c,
		&ua.CreateSubscriptionRequest{RequestHeader: header(token), RequestedPublishingInterval: 1000,
			RequestedLifetimeCount: 1000, RequestedMaxKeepAliveCount: 100})
	for name, tc := range nodeServices(token, resp.(*ua.CreateSubscriptionResponse).SubscriptionID) {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(t, c, tc.req); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}
