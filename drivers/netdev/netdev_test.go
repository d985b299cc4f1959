package netdev

import (
	"net"
	"strings"
	"testing"
)

func TestNamesAreReadOrRefused(t *testing.T) {
	for s, want := range map[string]string{
		"eth1":                                  "",
		"enxb827eb123456":                       "",
		"mac:02:00:5e:10:00:01":                 "",
		"mac:02-00-5E-10-00-01":                 "",
		"path:platform-fd580000.ethernet":       "",
		"path:pci-0000:01:00.0-usb-0:1.2:1.0":   "",
		"":                                      "is not the name of a network interface",
		"lo":                                    "is not the name of a network interface",
		"..":                                    "is not the name of a network interface",
		"eth 1":                                 "is not the name of a network interface",
		"a-name-too-long1":                      "is not the name of a network interface",
		"eth0:1":                                "is not the name of a network interface",
		"../eth0":                               "is not the name of a network interface",
		"mac:02:00:5e:10:00":                    "is not a MAC address",
		"mac:":                                  "is not a MAC address",
		"mac:02:00:5e:10:00:01:02:03":           "is not a MAC address",
		"mac:ff:ff:ff:ff:ff:ff":                 "is not the MAC address of one interface",
		"mac:00:00:00:00:00:00":                 "is not the MAC address of one interface",
		"path:":                                 "is not a path",
		"path:/sys/class/net/eth0":              "is not a path",
		"path:a b":                              "is not a path",
		"path:" + strings.Repeat("a", mostPath): "",
		"path:" + strings.Repeat("a", mostPath+1): "is not a path",
	} {
		n, err := Parse(s)
		switch {
		case want == "" && (err != nil || n.String() != s):
			t.Errorf("%q: got %q, %v; want it taken", s, n, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want %q", s, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"eth1", "mac:02:00:5e:10:00:01", "path:pci-0000:01:00.0", "mac:", "path:\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err == nil && (n.String() != s || strings.ContainsAny(s, "/ \n\x00")) {
			t.Errorf("%q read as %q", s, n)
		}
	})
}

func mac(t *testing.T, s string) net.HardwareAddr {
	t.Helper()
	a, err := net.ParseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAnInterfaceIsChosenByNameAddressOrPath(t *testing.T) {
	all := []Device{
		{"eth0", 2, mac(t, "02:00:00:00:00:01"), "platform-fd580000.ethernet", "bcmgenet"},
		{"eth1", 3, mac(t, "02:00:00:00:00:02"), "pci-0000:01:00.0-usb-0:1.2:1.0", "r8152"},
		{"eth2", 4, mac(t, "02:00:00:00:00:03"), "pci-0000:02:00.0", "e1000e"},
		{"eth3", 5, mac(t, "02:00:00:00:00:04"), "pci-0000:02:00.0", "e1000e"},
		{"br0", 6, mac(t, "02:00:00:00:00:02"), "", ""},
		{"veth0", 7, mac(t, "02:00:00:00:00:05"), "", ""},
		{"veth1", 8, mac(t, "02:00:00:00:00:05"), "", ""},
	}
	for name, want := range map[string]string{
		"eth1":                                "eth1",
		"mac:02:00:00:00:00:01":               "eth0",
		"mac:02:00:00:00:00:02":               "eth1", // and not the bridge on it
		"path:pci-0000:01:00.0-usb-0:1.2:1.0": "eth1",
		"eth9":                                "no interface is \"eth9\"; there are: eth0 (mac:02:00:00:00:00:01, ",
		"mac:02:00:00:00:00:09":               "no interface is",
		"path:pci-0000:02:00.0":               "more than one interface is",
		"mac:02:00:00:00:00:05":               "more than one interface is",
	} {
		n, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := choose(n, all)
		if got.Name != want && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: got %q, %v; want %q", name, got.Name, err, want)
		}
		if err != nil && !strings.Contains(err.Error(),
			"eth1 (mac:02:00:00:00:00:02, path:pci-0000:01:00.0-usb-0:1.2:1.0, driver r8152); ") {
			t.Errorf("%s: got %v, want every interface with address, path and driver", name, err)
		}
	}
	if _, err := choose(Name{text: "eth0"}, nil); err == nil || !strings.HasSuffix(err.Error(), "there are: none") {
		t.Errorf("without any: got %v, want that there are none", err)
	}
}
