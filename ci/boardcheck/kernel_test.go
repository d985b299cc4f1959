package boardcheck

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"

	"heliograph/rootfs/storage"
)

// image64 is at byte 56 of an arm64 kernel (Linux, arch/arm64/booting.rst).
const image64 = "ARM\x64"

var compressed = []byte{0x1f, 0x8b} // RFC 1952

func (p *partition) kernel() {
	names := p.values("kernel")
	if len(names) != 1 {
		p.t.Fatalf("config.txt names the kernels %q, want one", names)
	}
	b := p.read(p.prefix + names[0])
	if bytes.HasPrefix(b, compressed) {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			p.t.Fatal(err)
		}
		if b, err = io.ReadAll(io.LimitReader(r, 200<<20)); err != nil {
			p.t.Fatal(err)
		}
	}
	if len(b) < 64 || string(b[56:60]) != image64 {
		p.t.Errorf("the kernel has %d bytes and no mark of an arm64 Image", len(b))
	}
	p.configuration(b)
	p.parameters(b)
	for _, line := range p.config {
		if rest, ok := strings.CutPrefix(line, "initramfs "); ok {
			name := p.prefix + strings.Fields(rest)[0]
			if b := p.read(name); !bytes.HasPrefix(b, compressed) {
				p.t.Errorf("%s is not a compressed archive", name)
			}
		}
	}
}

// parameters looks in the kernel for the parameters of its parts that the command line sets:
// it ignores one that it does not know.
func (p *partition) parameters(kernel []byte) {
	words := strings.Fields(string(p.read(p.prefix + "cmdline.txt")))
	for _, word := range words {
		name, _, found := strings.Cut(word, "=")
		if found && strings.Contains(name, ".") && !bytes.Contains(kernel, []byte("\x00"+name+"\x00")) {
			p.t.Errorf("cmdline.txt sets %s, which the kernel does not know", name)
		}
	}
	if bounded := strings.Contains(strings.Join(words, " "), " watchdog.open_timeout="); !bounded {
		p.t.Error("cmdline.txt lets the kernel feed the watchdog for ever before PID 1 opens it")
	}
}

// needs are the options that boards and programs rely on; all must be built in: the
// root filesystem has no modules.
var needs = []string{
	"ARCH_BCM2835", "SERIAL_AMBA_PL011", "SERIAL_AMBA_PL011_CONSOLE", "GPIO_CDEV", "LEDS_GPIO", "BCM2835_WDT",
	"WATCHDOG",
	"WATCHDOG_SYSFS", "RASPBERRYPI_FIRMWARE", "VFAT_FS", "SQUASHFS", "SQUASHFS_ZLIB", "EXT4_FS", "TMPFS", "DEVTMPFS",
	"PACKET", "SECCOMP_FILTER", "SECURITY_LANDLOCK", "NET_NS", "INET", "BLK_DEV_INITRD", "RD_GZIP", "RTC_HCTOSYS",
	"RTC_SYSTOHC", "WATCHDOG_HANDLE_BOOT_ENABLED",
}

// chipNeeds are those of a chip: its card, pins, thermometer and clock.
var chipNeeds = map[string][]string{
	"bcm2710": {"MMC_BCM2835", "PINCTRL_BCM2835", "BCM2835_THERMAL", "I2C_BCM2835", "RTC_DRV_DS1307"},
	"bcm2711": {"MMC_BCM2835", "MMC_SDHCI_IPROC", "PINCTRL_BCM2835", "BCM2711_THERMAL", "I2C_BCM2835",
		"RTC_DRV_DS1307"},
	"bcm2712": {"MMC_SDHCI_BRCMSTB", "REGULATOR_GPIO", "GPIO_BRCMSTB", "PINCTRL_BCM2712", "MFD_RP1", "PINCTRL_RP1",
		"COMMON_CLK_RP1", "PCIE_BRCMSTB", "BCM2712_MIP", "BCM2711_THERMAL", "RTC_DRV_RPI"},
}

// drivers are the options behind the drivers that boards name for the link's
// interface, hosts those behind the controllers in their trees.
var (
	drivers = map[string]string{
		"r8152": "USB_RTL8152", "lan78xx": "USB_LAN78XX", "asix": "USB_NET_AX8817X", "smsc95xx": "USB_NET_SMSC95XX",
		"cdc_ether": "USB_NET_CDCETHER", "cdc_ncm": "USB_NET_CDC_NCM", "e1000": "E1000", "e1000e": "E1000E",
	}
	hosts = map[string]string{
		"brcm,bcm2711-genet-v5": "BCMGENET", "raspberrypi,rp1-gem": "MACB", "brcm,bcm2708-usb": "USB_DWCOTG",
		"brcm,bcm2835-usb": "USB_DWC2", "generic-xhci": "USB_XHCI_PLATFORM", "snps,dwc3": "USB_DWC3",
		"brcm,bcm2711-pcie": "PCIE_BRCMSTB", "brcm,bcm2712-pcie": "PCIE_BRCMSTB",
	}
	serialAdapters = []string{"USB_SERIAL_FTDI_SIO", "USB_SERIAL_CP210X", "USB_SERIAL_CH341", "USB_ACM"}
)

// configuration checks the kernel's own.
func (p *partition) configuration(kernel []byte) {
	config := string(kernelConfiguration(p.t, kernel))
	want := slices.Concat(needs, chipNeeds[p.chip()])
	tree := p.merged(p.board.DeviceTree, nil)
	for _, bus := range p.board.Network.Buses {
		_, n := tree.labelled(bus.Host)
		option, known := hosts[n.text("compatible")]
		if !known {
			p.t.Errorf("no option is known for %s, a %q", bus.Host, n.text("compatible"))
		}
		want = append(want, option)
		if bus.Host == "pcie0" && n.child("pci@0,0") != nil { // a USB host that is soldered to it
			want = append(want, "USB_XHCI_PCI")
		}
	}
	for _, d := range p.board.Network.Drivers() {
		option, known := drivers[d]
		if !known {
			p.t.Errorf("no option is known for the driver %s", d)
		}
		want = append(want, option)
	}
	if p.board.Console.OnUSB() {
		want = append(want, serialAdapters...)
		want = append(want, "VT_CONSOLE", "FRAMEBUFFER_CONSOLE") // for what the kernel says itself
	}
	for _, option := range want {
		if !strings.Contains(config, "\nCONFIG_"+option+"=y\n") {
			p.t.Errorf("the kernel has no CONFIG_%s built in", option)
		}
	}
	if !strings.Contains(config, "\nCONFIG_FAT_DEFAULT_UTF8=y\n") &&
		!slices.Contains(strings.Split(storage.BootOptions, ","), "utf8") {
		p.t.Error("the kernel shows names of the boot partition in ASCII: mount it with utf8")
	}
	if p.board.Console.OnUSB() && strings.Contains(config, "\nCONFIG_USB_SERIAL_CONSOLE=y\n") {
		p.t.Error("the kernel can write to USB serial adapters now: boards.KernelConsole says that it cannot")
	}
}

// kernelConfiguration finds what CONFIG_IKCONFIG puts into a kernel: gzip between two
// marks (Linux, kernel/configs.c).
func kernelConfiguration(t *testing.T, kernel []byte) []byte {
	t.Helper()
	_, rest, found := bytes.Cut(kernel, []byte("IKCFG_ST"))
	if !found {
		t.Fatal("the kernel image has no embedded configuration")
	}
	r, err := gzip.NewReader(bytes.NewReader(rest))
	if err != nil {
		t.Fatal(err)
	}
	r.Multistream(false)
	config, err := io.ReadAll(io.LimitReader(r, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	return config
}
