package channel

import (
	"testing"

	"github.com/gopcua/opcua/ua"
)

func TestSecurityIsReadAsItIsConfigured(t *testing.T) {
	for text, want := range map[string]Security{
		"None":                          {ua.SecurityPolicyURINone, ua.MessageSecurityModeNone},
		"Basic256Sha256/SignAndEncrypt": {ua.SecurityPolicyURIBasic256Sha256, ua.MessageSecurityModeSignAndEncrypt},
		"Aes128_Sha256_RsaOaep/Sign":    {ua.SecurityPolicyURIAes128Sha256RsaOaep, ua.MessageSecurityModeSign},
	} {
		if got := ParseSecurity(text); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}
