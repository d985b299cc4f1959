package network

import (
	"strings"
	"testing"

	"heliograph/drivers/ethernet/ethernettest"
)

func TestAnAddressIsSetOnTheInterfaceThatIsMeant(t *testing.T) {
	ethernettest.Namespace(t, "that an interface found by its address is given one")
	ethernettest.Cable(t, "near0", "far0") // near0 has 02:…:01, far0 02:…:02
	c, err := Parse(strings.NewReader("interface = \"mac:02:00:00:00:00:01\"\naddress = \"10.9.0.2/24\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	shows := func(iface, want string) {
		t.Helper()
		out := ethernettest.IP(t, "-4", "-o", "addr", "show", iface)
		if strings.Contains(out, "10.9.0.2/24") != (want != "") {
			t.Errorf("%s: got %q, want %q", iface, out, want)
		}
	}
	if err := c.Up(); err != nil {
		t.Fatal(err)
	}
	shows("near0", "10.9.0.2/24")
	shows("far0", "")
	if err := c.Down(); err != nil {
		t.Fatal(err)
	}
	shows("near0", "")
	c.Interface = "path:pci-0000:01:00.0"
	if err := c.Up(); err == nil || !strings.Contains(err.Error(), "near0 (mac:02:00:00:00:00:01)") {
		t.Errorf("missing: got %v, want the interfaces that there are", err)
	}
}
