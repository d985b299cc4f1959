package identity

import (
	"log/slog"
	"strings"
	"testing"
)

func TestIdentityIsMadeOnce(t *testing.T) {
	folder := t.TempDir()
	open := func(pair string) Store {
		s, err := Open(folder, "tx", pair, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := open("press hall")
	if uri := first.URI(); !strings.HasSuffix(uri, ":heliograph:tx:press%20hall") {
		t.Errorf("the certificate names %q", uri)
	}
	if len(first.Own().Certificate.DNSNames) == 0 {
		t.Error("the certificate names no host")
	}
	second := open("another")
	if string(first.Own().Chain) != string(second.Own().Chain) || second.URI() != first.URI() {
		t.Error("a second start made another certificate")
	}
}
