package decode

import (
	"testing"

	"heliograph/drivers/ethernet"
)

func TestTheLinksEthertypeIsKnown(t *testing.T) {
	if etherType != ethernet.EtherType {
		t.Errorf("got %#x, and the link has %#x", etherType, ethernet.EtherType)
	}
}
