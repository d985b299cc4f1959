package network

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
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

func TestAnInterfaceThatIsFoundLateGetsItsAddress(t *testing.T) {
	ethernettest.Namespace(t, "that an interface found after the start is given its address")
	c, err := Parse(strings.NewReader("interface = \"mac:02:00:00:00:00:01\"\naddress = \"10.9.0.2/24\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Up(); err == nil || !strings.Contains(err.Error(), "there are: none") {
		t.Fatalf("before it is there: got %v, want that there is none", err)
	}
	// In this namespace, as no other goroutine is; it waits for the pipe to be closed.
	late := exec.Command("sh", "-c", "read line; ip link add near0 address 02:00:00:00:00:01 type veth peer name far0")
	begin, err := late.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := late.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = late.Wait() })
	_ = begin.Close()
	ctx, stop := context.WithTimeout(t.Context(), await.Bound)
	defer stop()
	if !c.WaitUp(ctx, time.Millisecond) {
		t.Error("gave up, want the address set")
	}
	if out := ethernettest.IP(t, "-4", "-o", "addr", "show", "near0"); !strings.Contains(out, "10.9.0.2/24") {
		t.Errorf("got %q, want its address", out)
	}
	stop()
	if c.Interface = "eth9"; c.WaitUp(ctx, time.Hour) {
		t.Error("went on after its context ended")
	}
}
