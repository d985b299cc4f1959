// Package boardcheck reads the boot partition of the images for real boards as the
// Raspberry Pi firmware would, file by file, and the kernel's own configuration out
// of the kernel.
//
// What the firmware needs is taken from its documentation (config.txt, boot flow and
// os_prefix at raspberrypi.com/documentation, and the overlays' README). It proves
// that nothing is missing or misspelt, not that the board boots: see
// hardware-checklist.md beside the boards.
package boardcheck

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/image"
)

const configuration = `pair = "hall"
[link]
medium   = "uart"
device   = "/dev/ttyAMA0"
key_file = "pair.key"
[[syslog]]
channel = "syslog"
`

// extracted builds an image and returns a folder with its boot partition's files.
func extracted(t *testing.T, b boards.Board, role string) string {
	t.Helper()
	if _, err := exec.LookPath("mcopy"); err != nil {
		t.Skip("not proved: the boot partition has what the firmware needs, because mtools is not installed")
	}
	folder := t.TempDir()
	text := configuration + "listen = [\"udp://0.0.0.0:514\"]\n"
	if role == "rx" {
		text = configuration + "forward = \"udp://siem:514\"\n"
	}
	for name, text := range map[string]string{"role.toml": text, "pair.key": string(pairkey.Format([pairkey.Size]byte{1}))} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	card := filepath.Join(folder, "card.img")
	if err := image.Build(image.Options{Role: role, Board: b, Source: "../..", Version: "test", Config: filepath.Join(folder, "role.toml"), Output: card}); err != nil {
		t.Fatal(err)
	}
	files := filepath.Join(folder, "boot")
	if err := os.Mkdir(files, 0o700); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("mcopy", "-s", "-i", card+"@@4M", "::*", files).CombinedOutput(); err != nil {
		t.Fatalf("mcopy: %v\n%s", err, said)
	}
	return files
}

func TestBootPartitionHasWhatTheFirmwareNeeds(t *testing.T) {
	for name, role := range map[string]string{"rpi4b": "tx", "cm4": "rx"} {
		t.Run(name+" "+role, func(t *testing.T) {
			b, _ := boards.ByName(name)
			p := &partition{t: t, folder: extracted(t, b, role), board: b}
			p.stages()
			p.settings()
			p.kernel()
			p.commandLine()
			p.tree()
		})
	}
}

// partition is a boot partition as the firmware sees it.
type partition struct {
	t      *testing.T
	folder string
	board  boards.Board
	config []string // lines of config.txt that say something
	prefix string
}

func (p *partition) read(name string) []byte {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.folder, name))
	if err != nil || len(b) == 0 {
		p.t.Errorf("%s: %d bytes, %v; want the file", name, len(b), err)
	}
	return b
}

// stages looks for what the boot loader in the board's EEPROM starts: start4.elf
// with fixup4.dat of the same variant. gpu_mem=16 would ask for start4cd.elf.
func (p *partition) stages() {
	for _, name := range []string{"start4.elf", "fixup4.dat"} {
		p.read(name)
	}
	if b := p.read("start4.elf"); len(b) > 4 && !bytes.HasPrefix(b, []byte("\x7fELF")) {
		p.t.Errorf("start4.elf begins with %q, want an ELF file", b[:4])
	}
}

// known are the settings that our images use, as the documentation spells them.
var known = regexp.MustCompile(`^(arm_64bit=1|os_prefix=\w+/|kernel=\S+|initramfs \S+ followkernel|device_tree=\S+\.dtb|enable_uart=1|disable_splash=1|dtoverlay=[\w-]+(,\S+)?|dtparam=[\w-]+=\w+|auto_initramfs=[01])$`)

// settings reads config.txt: lines of at most 98 characters, names that exist.
func (p *partition) settings() {
	for line := range strings.Lines(string(p.read("config.txt"))) {
		line = strings.TrimRight(line, "\r\n")
		if len(line) > 98 {
			p.t.Errorf("config.txt: a line of %d characters is cut after 98: %s", len(line), line)
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if !known.MatchString(line) {
			p.t.Errorf("config.txt: %q is no setting that is known here", line)
		}
		p.config = append(p.config, line)
		if value, ok := strings.CutPrefix(line, "os_prefix="); ok {
			p.prefix = value
		}
	}
	if !slices.Contains(p.config, "arm_64bit=1") || !slices.Contains(p.config, "enable_uart=1") {
		p.t.Errorf("config.txt is %q, want a 64-bit kernel and a UART clock that does not change", p.config)
	}
	if p.prefix != "" {
		if _, err := os.Stat(filepath.Join(p.folder, p.prefix, "overlays", "README")); err != nil {
			p.t.Errorf("%v: without it the firmware takes overlays from the top folder", err)
		}
	}
}

// values returns what stands behind a setting's name, in order.
func (p *partition) values(name string) (list []string) {
	for _, line := range p.config {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			list = append(list, value)
		}
	}
	return list
}

// image64 is at byte 56 of an arm64 kernel (Linux, arch/arm64/booting.rst).
const image64 = "ARM\x64"

func (p *partition) kernel() {
	names := p.values("kernel")
	if len(names) != 1 {
		p.t.Fatalf("config.txt names the kernels %q, want one", names)
	}
	b := p.read(p.prefix + names[0])
	if bytes.HasPrefix(b, []byte{0x1f, 0x8b}) {
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
}

func (p *partition) commandLine() {
	line := strings.TrimRight(string(p.read(p.prefix+"cmdline.txt")), "\n")
	if strings.Contains(line, "\n") {
		p.t.Errorf("cmdline.txt has more than one line: the firmware takes the first")
	}
	console := strings.TrimPrefix(p.board.Console.Device, "/dev/")
	link := strings.TrimPrefix(p.board.Link.Device, "/dev/")
	if !strings.Contains(line, "console="+console+",") || strings.Contains(line, link) {
		p.t.Errorf("cmdline.txt is %q, want the console on %s and no word of %s", line, console, link)
	}
}

// tree merges the overlays into the device tree, as the firmware does.
func (p *partition) tree() {
	names := p.values("device_tree")
	if len(names) != 1 || names[0] != p.board.DeviceTree {
		p.t.Fatalf("config.txt names the device trees %q, want %s", names, p.board.DeviceTree)
	}
	const magic = "\xd0\x0d\xfe\xed" // Devicetree Specification 0.4, 5.2
	p.read(p.prefix + "overlays/overlay_map.dtb")
	merged := filepath.Join(p.folder, p.prefix, names[0])
	for i, overlay := range p.values("dtoverlay") {
		name := p.prefix + "overlays/" + strings.SplitN(overlay, ",", 2)[0] + ".dtbo"
		if b := p.read(name); !bytes.HasPrefix(b, []byte(magic)) {
			p.t.Errorf("%s is no device tree", name)
		}
		next := filepath.Join(p.t.TempDir(), "merged.dtb")
		if said, err := exec.Command("fdtoverlay", "-i", merged, "-o", next, filepath.Join(p.folder, name)).CombinedOutput(); err != nil {
			p.t.Fatalf("overlay %d, %s, does not fit: %v\n%s", i+1, overlay, err, said)
		}
		merged = next
	}
	if got, err := exec.Command("fdtget", merged, "/aliases", "serial0").Output(); err != nil || len(strings.TrimSpace(string(got))) == 0 {
		p.t.Errorf("the merged tree has %q for serial0, %v; want the link's UART", got, err)
	}
	model, _ := exec.Command("fdtget", merged, "/", "model").Output()
	if got, ok := boards.Detect(strings.TrimSpace(string(model)) + " Rev 1.0"); !ok || got.Name != p.board.Name {
		p.t.Errorf("the device tree's model is %q, which is board %q", model, got.Name)
	}
}

// needs are the options that boards and programs rely on; all must be built in: the
// root filesystem has no modules.
var needs = []string{
	"ARCH_BCM2835", "SERIAL_AMBA_PL011", "SERIAL_AMBA_PL011_CONSOLE", "SERIAL_8250_BCM2835AUX", "BCMGENET", "MMC_BCM2835", "MMC_SDHCI_IPROC",
	"GPIO_CDEV", "PINCTRL_BCM2835", "BCM2835_WDT", "WATCHDOG", "VFAT_FS", "SQUASHFS", "SQUASHFS_ZLIB", "EXT4_FS", "TMPFS", "DEVTMPFS",
	"PACKET", "SECCOMP_FILTER", "SECURITY_LANDLOCK", "NET_NS", "RTC_DRV_DS1307", "INET",
}

// drivers are the options behind the drivers that boards name for their second
// interface.
var drivers = map[string]string{
	"r8152": "USB_RTL8152", "lan78xx": "USB_LAN78XX", "asix": "USB_NET_AX8817X", "smsc95xx": "USB_NET_SMSC95XX", "cdc_ether": "USB_NET_CDCETHER", "cdc_ncm": "USB_NET_CDC_NCM",
}

// configuration checks the kernel's own.
func (p *partition) configuration(kernel []byte) {
	config := string(kernelConfiguration(p.t, kernel))
	want := slices.Clone(needs)
	for _, d := range p.board.Network.Drivers {
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
		t.Fatal("the kernel does not tell its configuration")
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
