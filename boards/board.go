// Package boards describes the machines that a role runs on, as data: what the
// boot partition needs, which UART is the link and which the console, where the
// watchdog is. One file holds one board.
//
// It opens no device and decides nothing at run time beyond Detect.
package boards

import "strings"

// Board is one machine. Paths of device trees are those in the boot partition.
type Board struct {
	Name        string
	Model       string // the device tree's model begins so; empty on a machine without one
	DeviceTree  string // empty where the machine brings its own
	Overlays    []string
	Link        UART
	Console     UART
	Watchdog    string   // device; empty when none may be armed
	KernelArgs  []string // beside console and root
	Firmware    []string // files of the firmware that it boots through
	Config      []string // lines of config.txt beside kernel, device tree and overlays
	HasFirmware bool     // boots through the Raspberry Pi firmware and its config.txt
}

// UART is a serial port by its device and line rate.
type UART struct {
	Device string
	Baud   int
}

// All returns every board.
func All() []Board { return []Board{rpi4b(), cm4(), rpi3b(), virt(), pc()} }

// ByName returns the board that users call name.
func ByName(name string) (Board, bool) {
	for _, b := range All() {
		if b.Name == name {
			return b, true
		}
	}
	return Board{}, false
}

// Detect returns the board whose device tree has the given model, as in
// /proc/device-tree/model; a machine without a model is a PC.
func Detect(model string) (Board, bool) {
	model = strings.TrimRight(model, "\x00\n")
	if model == "" {
		return pc(), true
	}
	for _, b := range All() {
		if b.Model != "" && strings.HasPrefix(model, b.Model) {
			return b, true
		}
	}
	return Board{}, false
}
