package netdev

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"heliograph/drivers/ethernet/ethernettest"
)

// tree makes a sysfs with one interface on a device. Each part of the device's path is
// NAME or NAME=SUBSYSTEM.
func tree(t *testing.T, name string, index int, device, driver string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	make := func(folder string) string {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	link := func(to, at string) {
		make(filepath.Dir(at))
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	at := filepath.Join(root, "devices")
	for part := range strings.SplitSeq(device, "/") {
		folder, bus, _ := strings.Cut(part, "=")
		at = make(filepath.Join(at, folder))
		if bus != "" {
			link(make(filepath.Join(root, "bus", bus)), filepath.Join(at, "subsystem"))
		}
	}
	if driver != "" {
		link(make(filepath.Join(root, "bus/drivers", driver)), filepath.Join(at, "driver"))
	}
	entry := make(filepath.Join(at, "net", name))
	if driver != "" {
		link(at, filepath.Join(entry, "device"))
	}
	if err := os.WriteFile(filepath.Join(entry, "ifindex"), []byte(strconv.Itoa(index)+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	link(entry, filepath.Join(root, "class/net", name))
	return root
}

func TestPathsAreThoseOfUdev(t *testing.T) {
	const usb = "usb1=usb/1-1=usb/1-1.2=usb/1-1.2:1.0=usb"
	for name, c := range map[string]struct{ device, driver, want string }{
		"Raspberry Pi 4, its own": {"platform/scb=platform/fd580000.ethernet=platform", "bcmgenet",
			"platform-fd580000.ethernet"},
		"Raspberry Pi 4, on USB": {"platform/scb=platform/fd500000.pcie=platform/pci0000:00/0000:00:00.0=pci/" +
			"0000:01:00.0=pci/" + usb, "r8152", "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0"},
		"Raspberry Pi 3, on USB": {"platform/soc=platform/3f980000.usb=platform/" + usb, "smsc95xx",
			"platform-3f980000.usb-usb-0:1.2:1.0"},
		"Raspberry Pi 5, its own": {
			"platform/axi=platform/1000120000.pcie=platform/1f00100000.ethernet=platform", "macb",
			"platform-1f00100000.ethernet"},
		"Raspberry Pi 5, on USB": {"platform/axi=platform/1000120000.pcie=platform/1f00300000.usb=platform/" +
			"xhci-hcd.1=platform/usb3=usb/3-2=usb/3-2:1.0=usb", "ax88179", "platform-xhci-hcd.1-usb-0:2:1.0"},
		"Compute Module, card on PCIe": {"platform/scb=platform/fd500000.pcie=platform/pci0000:00/0000:00:00.0=pci/" +
			"0000:01:00.0=pci", "e1000e", "platform-fd500000.pcie-pci-0000:01:00.0"},
		"virtual machine": {"pci0000:00/0000:00:03.0=pci/virtio2=virtio", "virtio_net", "pci-0000:00:03.0"},
		"virtual":         {"virtual", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, "eth1", 3, c.device, c.driver)
			if path, driver := describe(root, "eth1", 3); path != c.want || driver != c.driver {
				t.Errorf("got %q by %q, want %q by %q", path, driver, c.want, c.driver)
			}
			if path, driver := describe(root, "eth1", 4); path != "" || driver != "" {
				t.Errorf("of an interface of another namespace: got %q by %q, want nothing", path, driver)
			}
		})
	}
}

func TestInterfacesOfTheKernelAreFound(t *testing.T) {
	ethernettest.Namespace(t, "that interfaces are found")
	ethernettest.Cable(t, "near0", "far0")
	for name, want := range map[string]string{"near0": "near0", "mac:02:00:00:00:00:02": "far0"} {
		if d, err := Find(name); err != nil || d.Name != want || d.Index == 0 {
			t.Errorf("%s: got %+v, %v; want %s", name, d, err, want)
		}
	}
	ethernettest.IP(t, "link", "set", "far0", "down")
	ethernettest.IP(t, "link", "set", "far0", "name", "eth7")
	if d, err := Find("mac:02:00:00:00:00:02"); err != nil || d.Name != "eth7" {
		t.Errorf("after it got another name: %+v, %v; want eth7", d, err)
	}
	_, err := Find("eth1")
	if err == nil || !strings.Contains(err.Error(), "eth7 (mac:02:00:00:00:00:02)") ||
		strings.Contains(err.Error(), "lo (") || strings.Contains(err.Error(), "\n") {
		t.Errorf("missing: got %v, want one line with the Ethernet interfaces", err)
	}
}
