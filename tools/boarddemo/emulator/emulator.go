// Package emulator says how QEMU is asked for the board virt, for the demo and for the
// tests of boards alike. It starts nothing.
package emulator

import "strings"

// Program is QEMU's for the boards' processors.
const Program = "qemu-system-aarch64"

// Guest is the address that a board has in the emulator's own network, by DHCP or not.
const Guest = "10.0.2.15"

// Board is what the firmware would load, and what the board is connected to.
type Board struct {
	Card, Kernel, Initramfs string // files
	CommandLine             string // of the kernel
	Link                    string // character device of the link, without its id
	Outside                 string // options of user networking: hostfwd=…
}

// Arguments are QEMU's. The console is its standard input and output.
func (b Board) Arguments() []string {
	return []string{"-M", "virt,gic-version=2", "-cpu", "cortex-a72", "-smp", "1", "-m", "256",
		"-display", "none", "-monitor", "none",
		"-kernel", b.Kernel, "-initrd", b.Initramfs, "-append", b.CommandLine,
		"-drive", "if=none,id=card,format=raw,file=" + strings.ReplaceAll(b.Card, ",", ",,"),
		"-device", "virtio-blk-pci,drive=card", "-device", "i6300esb",
		"-chardev", b.Link + ",id=link", "-serial", "chardev:link",
		"-chardev", "stdio,id=console,signal=off", "-device", "pci-serial,chardev=console",
		"-netdev", "user,id=outside," + b.Outside, "-device", "virtio-net-pci,netdev=outside,romfile="}
}
