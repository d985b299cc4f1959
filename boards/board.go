// Package boards describes the machines that a role runs on, as data: what the
// boot partition needs, which UART is the link and which the console, where the
// watchdog is. One file holds one board.
//
// It opens no device and decides nothing at run time beyond Detect.
package boards

import (
	"fmt"
	"strings"
)

// Board is one machine. Paths of device trees are those in the boot partition.
type Board struct {
	Name        string
	Model       string   // whole words that /proc/device-tree/model begins with; empty on a machine without one
	DeviceTree  string   // empty where the machine brings its own
	Variants    []string // further device trees; with any, config.txt names none and the firmware chooses
	Loaded      []string // overlays that the firmware adds by itself where the hardware needs them
	Overlays    []string // with their parameters, as config.txt has them: i2c-rtc,ds3231
	Link        UART
	Console     UART
	ConsoleAt   string // where the console comes out, in words; empty where Console says it
	Heartbeat   Line   // LED of the role's health; the zero value: none
	LinkLED     Line   // LED of the link; the zero value: none
	OwnLED      string // LED soldered to the board, shows what Heartbeat does; its name in /sys/class/leds; empty: none
	Network     Network
	Watchdog    string   // device; empty when none may be armed
	KernelArgs  []string // beside console and root
	Firmware    []string // files of the firmware that it boots through; none where all of it is on the board
	Config      []string // lines of config.txt beside kernel, device tree and overlays
	HasFirmware bool     // boots through the Raspberry Pi firmware and its config.txt
}

// UART is a serial port by its device and line rate.
type UART struct {
	Device  string
	Baud    int  // the rate without any other
	Fastest int  // the highest rate in baud that the port's clock gives; 0: not known
	Pins    Pins // the zero value: no header that software could open or close
}

// Pins are where a UART comes out, by the numbers of the GPIOs.
type Pins struct {
	Group    string // BCM2835: label of the device tree's pin group that the UART uses
	TXD, RXD int
	Function Function
}

// On RP1 an image's overlay brings a pin group of its own, below the pin controller
// with this label, and gives it to the UART with the label of its function.
const (
	RP1Controller = "rp1_gpio"
	RP1Group      = "heliograph-link"
)

// Function is what connects a pin to a UART, in the words of the board's pin
// controller. Exactly one is set.
type Function struct {
	BCM2835 uint32 // property brcm,function of brcm,bcm2835-gpio: 4 is alternate function 0
	RP1     string // property function of raspberrypi,rp1-gpio: uart0
}

// Line is a GPIO line that lights an LED when it is high.
type Line struct {
	Chip   string // the chip's device or its label: /dev/gpiochip0, pinctrl-rp1
	Number int
}

// Network says which interface is which. An Ethernet link needs a second one,
// which the kernel has a driver for; it is named in the order of discovery.
type Network struct {
	Outside string // the plant's or IT's side
	Link    string // the one-way side; empty where the order of discovery decides what it would be
	Buses   []Bus  // where interfaces are
	// Emulator is where an emulated board reaches the machine that emulates it; empty for others.
	Emulator string
}

// Bus is what interfaces are on.
type Bus struct {
	Host    string   // label of the controller in the device tree; empty without one
	Drivers []string // kernel drivers of interfaces for the link; none where it cannot be
}

// Drivers returns the kernel drivers of what Link may be, on any bus.
func (n Network) Drivers() []string {
	var list []string
	for _, b := range n.Buses {
		list = append(list, b.Drivers...)
	}
	return list
}

// KernelConsole is where the kernel writes its messages, as the argument console
// names it: the console, or the screen where that is on USB. The kernel has no
// console on USB serial adapters (CONFIG_USB_SERIAL_CONSOLE).
func (b Board) KernelConsole() string {
	if b.Console.OnUSB() {
		return "tty1"
	}
	return fmt.Sprintf("%s,%d", strings.TrimPrefix(b.Console.Device, "/dev/"), b.Console.Baud)
}

// OnUSB reports whether the port is a USB serial adapter, which may come and go.
func (u UART) OnUSB() bool { return strings.HasPrefix(u.Device, "/dev/ttyUSB") }

// All returns every board.
func All() []Board {
	return []Board{rpi4b(), rpi400(), cm4(), cm4s(), rpi5(), cm5(), rpi3bplus(), zero2w(), rpi3b(), virt(), pc()}
}

// ByName returns the board that users call name.
func ByName(name string) (Board, bool) {
	for _, b := range All() {
		if b.Name == name {
			return b, true
		}
	}
	return Board{}, false
}

// Names lists the boards that images are made for, as a flag's text shows them.
func Names() string {
	var names []string
	for _, b := range All() {
		if b.Console.Device != "" {
			names = append(names, b.Name)
		}
	}
	return strings.Join(names, ", ")
}

// Detect returns the board whose device tree has the given model, as in
// /proc/device-tree/model; a machine without a model is a PC. Where the tree's
// model has a +, the firmware writes Plus.
func Detect(model string) (Board, bool) {
	model = strings.Replace(strings.TrimRight(model, "\x00\n"), "+", " Plus", 1)
	if model == "" {
		return pc(), true
	}
	var found Board
	for _, b := range All() {
		if len(b.Model) > len(found.Model) && begins(model, b.Model) {
			found = b
		}
	}
	return found, found.Model != ""
}

// begins reports whether a text begins with the given words.
func begins(text, words string) bool {
	rest, ok := strings.CutPrefix(text, words)
	return ok && (rest == "" || rest[0] == ' ')
}
