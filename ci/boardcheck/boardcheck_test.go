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
	"os"
	"os/exec"
	"path"
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
		t.Skip("not proved: the boot partition has what the firmware needs, because mcopy is not installed")
	}
	folder := t.TempDir()
	text := configuration + "listen = [\"udp://0.0.0.0:514\"]\n"
	if role == "rx" {
		text = configuration + "forward = \"udp://siem:514\"\n"
	}
	for name, text := range map[string]string{"role.toml": text,
		"pair.key": string(pairkey.Format([pairkey.Size]byte{1}))} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	card := filepath.Join(folder, "card.img")
	if err := image.Build(image.Options{Role: role, Board: b, Source: "../..", Version: "test",
		Config: filepath.Join(folder, "role.toml"), Output: card}); err != nil {
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
	for i, b := range boards.All() {
		if !b.HasFirmware || b.Link.Pins == (boards.Pins{}) {
			continue // for the emulator, which boots it in another way
		}
		role := []string{"tx", "rx"}[i%2] // tools/image has the overlays of both for every board
		t.Run(b.Name+" "+role, func(t *testing.T) {
			p := &partition{t: t, folder: extracted(t, b, role), board: b, role: role}
			p.stages()
			p.settings()
			p.other()
			p.kernel()
			p.commandLine()
			p.trees()
		})
	}
}

// partition is a boot partition as the firmware sees it.
type partition struct {
	t      *testing.T
	folder string
	board  boards.Board
	role   string
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

// stages looks for what the boot loader starts (raspberrypi.com, boot flow): nothing
// more where the firmware is on the board, start4.elf with fixup4.dat after a loader
// in an EEPROM, and bootcode.bin, start.elf, fixup.dat after one in the chip.
// gpu_mem=16 would ask for start4cd.elf.
func (p *partition) stages() {
	want, known := map[string][]string{
		"bcm2710": {"bootcode.bin", "start.elf", "fixup.dat"}, "bcm2711": {"start4.elf", "fixup4.dat"}, "bcm2712": nil,
	}[p.chip()]
	if !known {
		p.t.Fatalf("it is not known how a %s boots", p.chip())
	}
	for _, name := range want {
		b := p.read(name)
		if path.Ext(name) == ".elf" && !bytes.HasPrefix(b, []byte("\x7fELF")) {
			p.t.Errorf("%s is not an ELF file", name)
		}
	}
}

// chip is what a device tree's name begins with.
func (p *partition) chip() string { return p.board.DeviceTree[:len("bcm2711")] }

// known are the settings that our images use, as the documentation spells them.
var known = regexp.MustCompile(
	`^(arm_64bit=1|os_prefix=\w+/|kernel=\S+|initramfs \w+ followkernel|device_tree=\S+\.dtb|enable_uart=1|uart_2ndstage=0|gpio=\d+=ip,pd|kernel_watchdog_timeout=\d+|init_uart_clock=\d+|disable_splash=1|otg_mode=1|dtoverlay=[\w-]+(,\S+)?|dtparam=[\w-]+=\w+|auto_initramfs=[01])$`)

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
			p.t.Errorf("config.txt: %q is not a setting of the table here", line)
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

// other checks what the firmware reads instead of config.txt when an update is
// tried: the same, with the other set of files.
func (p *partition) other() {
	config, other := string(p.read("config.txt")), string(p.read("tryboot.txt"))
	if want := strings.Replace(config, "os_prefix=a/", "os_prefix=b/", 1); want == config || other != want {
		p.t.Errorf("tryboot.txt is\n%s\nwant config.txt with the prefix of the other set\n%s", other, want)
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

func (p *partition) commandLine() {
	line := strings.TrimRight(string(p.read(p.prefix+"cmdline.txt")), "\n")
	if strings.Contains(line, "\n") {
		p.t.Errorf("cmdline.txt has more than one line: the firmware takes the first")
	}
	link := strings.TrimPrefix(p.board.Link.Device, "/dev/")
	words := strings.Fields(line)
	if !slices.Contains(words, "console="+p.board.KernelConsole()) || strings.Contains(line, link+",") {
		p.t.Errorf("cmdline.txt is %q, want the console on %s and not on %s", line, p.board.KernelConsole(), link)
	}
}
