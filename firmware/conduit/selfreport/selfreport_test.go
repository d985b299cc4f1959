package selfreport

import (
	"testing"
	"time"
)

func TestCertificateRoundTrip(t *testing.T) {
	at := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	key, value := Certificate("opcua own", at)
	if key != "certificate/opcua own" || value != "expires 2027-01-31" {
		t.Errorf("got %q %q", key, value)
	}
	if name, back, ok := ParseCertificate(key, value); !ok || name != "opcua own" || !back.Equal(at) {
		t.Errorf("got %q %v %v", name, back, ok)
	}
}

func TestOtherKeysAreNotCertificates(t *testing.T) {
	for key, value := range map[string]string{"version": "expires 2027-01-31", "certificate/x": "2027-01-31", "certificate/y": "expires soon"} {
		if name, at, ok := ParseCertificate(key, value); ok {
			t.Errorf("%q %q: got %q %v, want none", key, value, name, at)
		}
	}
}

func TestChannelIsReadFromASourcesKey(t *testing.T) {
	if name, ok := Channel(Source("cell-1")); !ok || name != "cell-1" {
		t.Errorf("got %q %v, want cell-1", name, ok)
	}
	if name, ok := Channel("version"); ok {
		t.Errorf("got %q for a key that is not a source's", name)
	}
}
