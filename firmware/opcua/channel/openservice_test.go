package channel

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
)

var opened = time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)

// The library decodes what is encoded here, and the parser restores it.
func TestOpenRequestRoundTrip(t *testing.T) {
	for name, want := range map[string]openRequest{
		"issue, None": {handle: 1, mode: ua.MessageSecurityModeNone, lifetime: time.Hour},
		"renew, sign": {
			handle: 1<<32 - 1, renew: true, mode: ua.MessageSecurityModeSign, nonce: Nonce(),
			lifetime: 10 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := want.encode(opened)
			got, err := parseOpenRequest(b)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
			_, v, err := ua.DecodeService(b)
			r, _ := v.(*ua.OpenSecureChannelRequest)
			if err != nil || r == nil {
				t.Fatalf("the library decodes %T, %v", v, err)
			}
			if r.RequestHeader.RequestHandle != want.handle || !r.RequestHeader.Timestamp.Equal(opened) ||
				(r.RequestType == ua.SecurityTokenRequestTypeRenew) != want.renew || r.SecurityMode != want.mode ||
				!bytes.Equal(r.ClientNonce, want.nonce) || int64(r.RequestedLifetime) != want.lifetime.Milliseconds() {
				t.Errorf("the library decodes %+v %+v", r.RequestHeader, r)
			}
			for n := range b {
				if _, err := parseOpenRequest(b[:n]); err == nil {
					t.Fatalf("the first %d of %d bytes were accepted", n, len(b))
				}
			}
		})
	}
}

func TestOpenResponseRoundTrip(t *testing.T) {
	want := openResponse{handle: 5, channel: 6, token: 7, created: opened, lifetime: time.Minute, nonce: Nonce()}
	b := want.encode()
	got, err := parseOpenResponse(b)
	got.created = want.created // the server's clock is not used
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	_, v, err := ua.DecodeService(b)
	r, _ := v.(*ua.OpenSecureChannelResponse)
	if err != nil || r == nil {
		t.Fatalf("the library decodes %T, %v", v, err)
	}
	k := r.SecurityToken
	if r.ResponseHeader.RequestHandle != 5 || k.ChannelID != 6 || k.TokenID != 7 || !k.CreatedAt.Equal(opened) ||
		k.RevisedLifetime != 60_000 || !bytes.Equal(r.ServerNonce, want.nonce) {
		t.Errorf("the library decodes %+v %+v", r, k)
	}
	for n := range b {
		if _, err := parseOpenResponse(b[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were accepted", n, len(b))
		}
	}
	if _, err := parseOpenResponse(Fault(5, ua.StatusBadTooManySessions,
		opened)); Code(err) != ua.StatusBadTooManySessions {
		t.Errorf("a fault: got %v, want its code", err)
	}
}
