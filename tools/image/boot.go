package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"heliograph/boards"
	"heliograph/rootfs/update"
	"heliograph/tools/image/filesystem"
)

const (
	firmwareModule = "github.com/gokrazy/firmware"
	firmwareFile   = "firmware.txt" // its version: no update changes it
)

// bootTree collects the boot partition. Both sets have the same files with the
// same room; those of set b are zeros until the first update.
func bootTree(o Options, s set, signature uint32) (*filesystem.File, error) {
	root := filesystem.Tree()
	root.Add("README.txt", 0o444, []byte(readMe))
	root.Mkdir(home)
	if err := addFirmware(root, o); err != nil {
		return nil, err
	}
	text, err := s.manifest.Encode()
	if err != nil {
		return nil, err
	}
	add := func(name string, room int, content []byte) {
		whole := make([]byte, room)
		copy(whole, content)
		root.Add("a/"+name, 0o444, whole)
		root.Add("b/"+name, 0o444, make([]byte, room))
	}
	for i, p := range s.manifest.Files {
		add(p.Name, room(len(s.contents[i])), s.contents[i])
	}
	add(update.ManifestFile, update.ManifestRoom, text)
	add(update.ArgumentFile, update.ArgumentRoom, update.CommandLine(s.manifest.Arguments, signature, update.A))
	return root, nil
}

// readMe stands on the card for those who look at it on a PC.
const readMe = "This card boots a board of heliograph. Its configuration are the files in the folder heliograph:\r\n" +
	"\r\n" +
	"  heliograph.toml   of the role, with the files that it names beside it\r\n" +
	"  network.toml      the board's address\r\n" +
	"  update.pub        the public key of updates\r\n" +
	"\r\n" +
	"Any editor and file manager will do. Leave everything else as it is: the board checks it.\r\n" +
	"A file that held a key and is deleted here can be read again: \"heliograph image configure\" leaves nothing.\r\n"

// room is how long a file is on a card: as long as it may become by updates.
// The firmware reads all of it at each start, so a large one gets little more.
func room(size int) int {
	const step, least, most = 16 << 10, 16 << 10, 3 << 20
	return (size + min(max(size, least), most) + step - 1) / step * step
}

// addFirmware adds what stands beside the sets.
func addFirmware(root *filesystem.File, o Options) error {
	root.Add("config.txt", 0o444, []byte(firmwareConfiguration(o.Role, o.Board, update.A)))
	root.Add("tryboot.txt", 0o444, []byte(firmwareConfiguration(o.Role, o.Board, update.B)))
	if err := addFiles(root, o, kernelModule, "LICENSE.linux"); err != nil || len(o.Board.Firmware) == 0 {
		return err
	}
	m, err := download(o, firmwareModule)
	if err != nil {
		return err
	}
	root.Add(firmwareFile, 0o444, []byte(m.Path+" "+m.Version+"\n"))
	return addFiles(root, o, firmwareModule, append([]string{"LICENSE.broadcom"}, o.Board.Firmware...)...)
}

func addFiles(root *filesystem.File, o Options, module string, names ...string) error {
	from, err := download(o, module)
	if err != nil {
		return err
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(from.Dir, name))
		if err != nil {
			return fmt.Errorf("image: %v", err)
		}
		root.Add(name, 0o444, b)
	}
	return nil
}

// kernelWatchdog is how long in seconds a kernel has from its first instruction until PID
// 1 feeds the watchdog, which takes about 5 s; the firmware arms it. A kernel that hangs in
// a trial is thus left for the release before it. The kernel's driver feeds an armed watchdog
// by itself, for as many seconds at most (watchdog.open_timeout).
const kernelWatchdog = 60

// firmwareConfiguration is config.txt or tryboot.txt. The firmware puts
// os_prefix before the names of kernel, initramfs, command line, device tree
// and overlays. The emulator reads nothing of it; the test that plays the
// firmware does.
func firmwareConfiguration(role string, b boards.Board, s update.Set) string {
	lines := []string{"arm_64bit=1", fmt.Sprintf("os_prefix=%c/", s), "kernel=vmlinuz",
		"initramfs " + initramfsFile + " followkernel"}
	if b.HasFirmware && len(b.Variants) == 0 {
		lines = append(lines, "device_tree="+b.DeviceTree)
	}
	if b.HasFirmware {
		// The second would have the firmware log to the link's header.
		lines = append(lines, "enable_uart=1", "uart_2ndstage=0", "disable_splash=1")
	}
	if b.HasFirmware && b.Watchdog != "" {
		lines = append(lines, fmt.Sprintf("kernel_watchdog_timeout=%d", kernelWatchdog))
	}
	for _, name := range b.Overlays {
		lines = append(lines, "dtoverlay="+name)
	}
	if b.Link.Pins != (boards.Pins{}) {
		closed := b.Link.Pins.RXD
		if role == "rx" {
			closed = b.Link.Pins.TXD
		}
		// An input, pulled down, until the kernel sets it so for good by the overlay, which
		// stands after the one that assigns the UART.
		lines = append(lines, fmt.Sprintf("gpio=%d=ip,pd", closed), "dtoverlay="+overlayPinmux)
	}
	return strings.Join(append(lines, b.Config...), "\n") + "\n"
}
