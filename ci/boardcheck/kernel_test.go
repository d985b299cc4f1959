package boardcheck

import (
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"strings"
	"testing"
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
	for _, line := range p.config {
		if rest, ok := strings.CutPrefix(line, "initramfs "); ok {
			name := p.prefix + strings.Fields(rest)[0]
			if b := p.read(name); !bytes.HasPrefix(b, compressed) {
				p.t.Errorf("%s is not a compressed archive", name)
			}
		}
	}
}

// needs are the options that boards and programs rely on; all must be built in: the
// root filesystem has no modules.
var needs = []string{
	"ARCH_BCM2835", "SERIAL_AMBA_PL011", "SERIAL_AMBA_PL011_CONSOLE", "SERIAL_8250_BCM2835AUX", "BCMGENET",
	"MMC_BCM2835", "MMC_SDHCI_IPROC",
	"GPIO_CDEV", "PINCTRL_BCM2835", "BCM2835_WDT", "WATCHDOG", "VFAT_FS", "SQUASHFS", "SQUASHFS_ZLIB", "EXT4_FS",
	"TMPFS", "DEVTMPFS",
	"PACKET", "SECCOMP_FILTER", "SECURITY_LANDLOCK", "NET_NS", "INET", "BLK_DEV_INITRD", "RD_GZIP",
	"I2C_BCM2835", "RTC_DRV_DS1307", "RTC_HCTOSYS", "RTC_SYSTOHC", "WATCHDOG_SYSFS", "BCM2711_THERMAL",
}

// drivers are the options behind the drivers that boards name for their second
// interface.
var drivers = map[string]string{
	"r8152": "USB_RTL8152", "lan78xx": "USB_LAN78XX", "asix": "USB_NET_AX8817X", "smsc95xx": "USB_NET_SMSC95XX",
	"cdc_ether": "USB_NET_CDCETHER", "cdc_ncm": "USB_NET_CDC_NCM",
}

// configuration checks the kernel's own.
func (p *partition) configuration(kernel []byte) {
	config := string(kernelConfiguration(p.t, kernel))
	want := slices.Clone(needs)
	for _, d := range p.board.Network.Drivers() {
		option, known := drivers[d]
		if !known {
			p.t.Errorf("no option is known for the driver %s", d)
		}
		want = append(want, option)
	}
	for _, option := range want {
		if !strings.Contains(config, "\nCONFIG_"+option+"=y\n") {
			p.t.Errorf("the kernel has no CONFIG_%s built in", option)
		}
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
