package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/drivers/ethernet/ethernettest"
)

func TestWhatTheConsoleSetComesFirst(t *testing.T) {
	folder := t.TempDir()
	s := Settings{Console: filepath.Join(folder, "network"), Card: filepath.Join(folder, "network.toml")}
	if _, err := s.Read(); err == nil {
		t.Error("no file: got no error")
	}
	if err := os.WriteFile(s.Card, []byte("interface = \"eth0\"\naddress = \"10.0.0.2/24\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(); err != nil || got.AssignedAddress() != "10.0.0.2/24" {
		t.Errorf("card: got %+v, %v", got, err)
	}
	if err := s.Write(Config{Interface: "eth0"}); err == nil {
		t.Error("a configuration without an address was kept")
	}
	if err := s.Write(Config{Interface: "eth1", Address: netip.MustParsePrefix("10.0.0.3/24")}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Read(); err != nil || got.Interface != "eth1" || got.AssignedAddress() != "10.0.0.3/24" {
		t.Errorf("console: got %+v, %v", got, err)
	}
}

func TestFaultNamesTheFile(t *testing.T) {
	s := Settings{Console: "none", Card: filepath.Join(t.TempDir(), "network.toml")}
	if err := os.WriteFile(s.Card, []byte("address = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(); err == nil || !strings.Contains(err.Error(), s.Card) {
		t.Errorf("got %v, want an error that names %s", err, s.Card)
	}
}

func TestAssignedAddressOfALease(t *testing.T) {
	ethernettest.Namespace(t, "that the address of a lease is shown")
	ethernettest.Cable(t, "near0", "far0")
	ethernettest.IP(t, "addr", "add", "10.9.0.2/24", "dev", "near0")
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/far0/disable_ipv6", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	ethernettest.IP(t, "addr", "add", "fe80::2/64", "dev", "far0") // as the kernel does, without a server
	for name, want := range map[string]string{"near0": "10.9.0.2/24 by dhcp",
		"mac:02:00:00:00:00:01": "10.9.0.2/24 by dhcp",
		"far0":                  "no answer to dhcp yet", "none0": DHCP} {
		if got := (Config{DHCP: true, Interface: name}).AssignedAddress(); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
