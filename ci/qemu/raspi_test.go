package qemu

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
)

// gplev0 is the level of GPIO lines 0 to 31 (BCM2837 ARM Peripherals, 6.1).
const gplev0 = 0x3f200034

// TestRaspberryPiShowsItsHeartbeat boots a Pi 3 from its SD card, and reads the
// heartbeat LED's line from outside. The emulator has no VideoCore firmware, so the
// test merges the overlays into the device tree as the firmware does. It has no
// watchdog either: one that is armed resets the machine at once, so none is.
// Its four processors take turns on one thread: with a thread each, one boot of six side
// by side did not come up, and one beside other tests printed nothing for ten minutes at
// 100 % of a core. Why is not known; of six on one thread all came up.
func TestRaspberryPiShowsItsHeartbeat(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"qemu-system-aarch64", "mcopy", "fdtoverlay", "fdtput"} {
		need(t, name)
	}
	board, _ := boards.ByName("rpi3b")
	card := buildFor(t, board, "tx", `pair = "press-hall"

[link]
medium   = "uart"
device   = "/dev/ttyS0"
baud     = 115200
key_file = "Paarschlüssel.key"

[[syslog]]
channel = "syslog"
listen  = ["udp://0.0.0.0:514"]
`, strings.Replace(leased, "eth0", board.Network.Outside, 1), "")
	folder := t.TempDir()
	for _, name := range []string{"a/vmlinuz", "a/initramfs", "a/cmdline.txt", "a/" + board.DeviceTree,
		"a/overlays/disable-bt.dtbo"} {
		run(t, "mcopy", "-i", card+"@@4M", "::"+name, folder)
	}
	tree := filepath.Join(folder, "merged.dtb")
	run(t, "fdtoverlay", "-i", filepath.Join(folder, board.DeviceTree), "-o", tree,
		filepath.Join(folder, "disable-bt.dtbo"))
	run(t, "fdtput", "-t", "s", tree, "/soc/serial@7e215040", "status", "okay") // enable_uart=1 of config.txt
	line, err := os.ReadFile(filepath.Join(folder, "cmdline.txt"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	m := &machine{ctx: ctx, stop: stop, qmp: filepath.Join(folder, "qmp")}
	m.run(t, exec.CommandContext(ctx, "qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=single",
		"-display", "none", "-monitor", "none", "-qmp", "unix:"+m.qmp+",server=on,wait=off",
		"-kernel", filepath.Join(folder, "vmlinuz"), "-initrd",
		filepath.Join(folder, "initramfs"), "-dtb", tree, "-append", strings.TrimSpace(string(line)),
		"-drive", "if=sd,format=raw,file="+card, "-chardev", "stdio,id=console,signal=off", "-serial",
		"chardev:console", "-serial", "null",
		"-netdev", "user,id=outside", "-device", "usb-net,netdev=outside"))
	m.shows(t, "state=GOOD", 1)
	m.until(t, "the heartbeat LED", func() error {
		if lit := m.lit(t, gplev0, uint(board.Heartbeat.Number)); lit < 0.5 || lit == 1 {
			return fmt.Errorf("it is lit %.2f of the time, want most of it and blinks", lit)
		}
		return nil
	})
}

func run(t *testing.T, name string, arguments ...string) {
	t.Helper()
	if said, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, said)
	}
}
