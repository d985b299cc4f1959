package network

import (
	"context"
	"errors"
	"net/netip"
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
	const own = "02:00:00:00:00:01"
	sets := 0
	c.Hold(ctx, time.Millisecond, false, func() error {
		switch sets++; sets {
		case 1:
			return errors.New("not yet")
		case 2: // it is set, and then pulled and put back
			if err := c.Up(); err != nil {
				return err
			}
			ethernettest.IP(t, "link", "del", "near0")
			ethernettest.IP(t, "link", "add", "near0", "address", own, "type", "veth", "peer", "name", "far0")
			return nil
		}
		defer stop()
		return c.Up()
	})
	if sets != 3 {
		t.Errorf("set %d times, want 3", sets)
	}
	if out := ethernettest.IP(t, "-4", "-o", "addr", "show", "near0"); !strings.Contains(out, "10.9.0.2/24") {
		t.Errorf("got %q, want its address", out)
	}
}

// An address is set again with each change of a lease, and when an adapter comes back.
func TestTheGatewayIsTheLastOneThatWasSet(t *testing.T) {
	ethernettest.Namespace(t, "that a board's gateway is the one of its configuration")
	ethernettest.Cable(t, "near0", "far0")
	for _, gateway := range []string{"10.9.0.1", "10.9.0.1", "10.9.0.3", ""} {
		c, err := Parse(strings.NewReader("interface = \"near0\"\naddress = \"10.9.0.2/24\"\n"))
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if gateway != "" {
			c.Gateway = netip.MustParseAddr(gateway)
			want = "default via " + gateway + " dev near0"
		}
		if err := c.Up(); err != nil {
			t.Fatal(gateway, err)
		}
		if got := strings.TrimSpace(ethernettest.IP(t, "-4", "route", "show", "default")); got != want {
			t.Errorf("gateway %q: got %q, want %q", gateway, got, want)
		}
	}
}

func TestALeaseEndsWithItsInterface(t *testing.T) {
	ethernettest.Namespace(t, "that a lease of an interface that was removed ends")
	ethernettest.Cable(t, "near0", "far0")
	c := Config{Interface: "near0"}
	index := c.index()
	ethernettest.IP(t, "link", "del", "near0")
	ethernettest.Cable(t, "near0", "far0")
	ctx, end := context.WithCancelCause(t.Context())
	c.watch(ctx, index, end)
	if err := context.Cause(ctx); !errors.Is(err, errReplaced) {
		t.Errorf("got %v, want %v", err, errReplaced)
	}
}
