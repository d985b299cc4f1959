package image

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"heliograph/boards"
	"heliograph/tools/image/filesystem"
)

const (
	kernelModule   = "github.com/gokrazy/kernel.rpi"
	firmwareModule = "github.com/gokrazy/firmware"
)

// set is the folder of the one kernel, command line and device tree that this
// image has; an update writes the other.
const set = "a/"

// bootTree collects the boot partition.
func bootTree(o Options, signature uint32) (*filesystem.File, error) {
	root := filesystem.Tree()
	kernel, err := download(o, kernelModule)
	if err != nil {
		return nil, err
	}
	names := map[string]string{"vmlinuz": set + "vmlinuz", "LICENSE.linux": "LICENSE.linux"}
	if o.Board.HasFirmware {
		names[o.Board.DeviceTree] = set + o.Board.DeviceTree
		for _, name := range o.Board.Overlays {
			names["overlays/"+name+".dtbo"] = set + "overlays/" + name + ".dtbo"
		}
		names["overlays/overlay_map.dtb"] = set + "overlays/overlay_map.dtb"
		// The firmware looks for this one before it takes overlays from a set.
		root.Add(set+"overlays/README", 0o444, []byte("Overlays of "+kernel.Path+" "+kernel.Version+".\n"))
		if o.Board.Link.Pins != (boards.Pins{}) {
			b, err := pinmux(o.Role, o.Board.Link.Pins)
			if err != nil {
				return nil, err
			}
			root.Add(set+"overlays/"+overlayPinmux+".dtbo", 0o444, b)
		}
		if err := addFirmware(root, o); err != nil {
			return nil, err
		}
	}
	if err := addFiles(root, kernel.Dir, names); err != nil {
		return nil, err
	}
	root.Add(set+"cmdline.txt", 0o444, []byte(commandLine(o.Board, signature)+"\n"))
	if err := addConfiguration(root, o); err != nil {
		return nil, err
	}
	return root, nil
}

func addFirmware(root *filesystem.File, o Options) error {
	firmware, err := download(o, firmwareModule)
	if err != nil {
		return err
	}
	names := map[string]string{"LICENSE.broadcom": "LICENSE.broadcom"}
	for _, name := range o.Board.Firmware {
		names[name] = name
	}
	root.Add("config.txt", 0o444, []byte(firmwareConfiguration(o.Board)))
	return addFiles(root, firmware.Dir, names)
}

func addFiles(root *filesystem.File, folder string, names map[string]string) error {
	for from, to := range names {
		b, err := os.ReadFile(filepath.Join(folder, from))
		if err != nil {
			return fmt.Errorf("image: %v", err)
		}
		root.Add(to, 0o444, b)
	}
	return nil
}

// firmwareConfiguration is config.txt. The firmware puts os_prefix before the
// names of kernel, command line, device tree and overlays.
func firmwareConfiguration(b boards.Board) string {
	lines := []string{"arm_64bit=1", "os_prefix=" + set, "kernel=vmlinuz", "device_tree=" + b.DeviceTree, "enable_uart=1", "disable_splash=1"}
	for _, name := range b.Overlays {
		lines = append(lines, "dtoverlay="+name)
	}
	if b.Link.Pins != (boards.Pins{}) {
		lines = append(lines, "dtoverlay="+overlayPinmux) // after the one that assigns the UART
	}
	return strings.Join(append(lines, b.Config...), "\n") + "\n"
}

// commandLine is the kernel's: messages go to the console, never to the link.
func commandLine(b boards.Board, signature uint32) string {
	console := fmt.Sprintf("console=%s,%d", strings.TrimPrefix(b.Console.Device, "/dev/"), b.Console.Baud)
	root := fmt.Sprintf("root=PARTUUID=%08x-02", signature)
	args := []string{console, root, "rootfstype=squashfs", "ro", "rootwait", "init=/init", "panic=10", "oops=panic", "quiet"}
	return strings.Join(append(args, b.KernelArgs...), " ")
}
