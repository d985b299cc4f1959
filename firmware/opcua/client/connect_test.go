package client

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"
)

func TestARefusedUserLeavesNoSessionBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.on(id.ActivateSessionRequest_Encoding_DefaultBinary,
			func(call) ([]byte, ua.StatusCode) { return nil, ua.StatusBadIdentityTokenRejected })
		_, err := Connect(t.Context(), f.config())
		if n := f.Count(id.CloseSessionRequest_Encoding_DefaultBinary); !errors.Is(err,
			ua.StatusBadIdentityTokenRejected) || n != 1 {
			t.Errorf("got %v and %d CloseSession, want Bad_IdentityTokenRejected and 1", err, n)
		}
	})
}

func TestConnectEndsWithAServerThatAnswersNothing(t *testing.T) {
	for _, kind := range []uint32{id.GetEndpointsRequest_Encoding_DefaultBinary,
		id.CreateSessionRequest_Encoding_DefaultBinary, id.ReadRequest_Encoding_DefaultBinary} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.on(kind, func(call) ([]byte, ua.StatusCode) { return nil, 0 })
			start := time.Now()
			_, err := Connect(t.Context(), f.config())
			if took := time.Since(start); !errors.Is(err, ua.StatusBadTimeout) || took > 7*time.Second {
				t.Errorf("request %d: got %v after %v, want Bad_Timeout within timeout and goodbye",
					kind, err, took)
			}
		})
	}
}
