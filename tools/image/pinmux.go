package image

import (
	"encoding/binary"
	"fmt"

	"heliograph/boards"
)

// An overlay in the flattened format of the Devicetree Specification 0.4,
// chapter 5: header, no reserved memory, structure, strings.
const (
	treeMagic     = 0xD00DFEED
	treeVersion   = 17
	treeCompat    = 16
	treeHeader    = 40
	treeReserved  = 16 // the end of an empty list
	treeBegin     = 1
	treeEnd       = 2
	treeProperty  = 3
	treeFinish    = 9
	unresolved    = 0xFFFFFFFF // a target that __fixups__ names
	pinInput      = 0          // brcm,function
	pullNone      = 0          // brcm,pull
	pullDown      = 1
	pullUp        = 2
	overlayPinmux = "heliograph-link"
)

// flat writes a device tree.
type flat struct {
	structure, strings []byte
	names              map[string]int
}

func (f *flat) word(v int) { f.structure = binary.BigEndian.AppendUint32(f.structure, uint32(v)) }

// bytes appends a value, padded to whole words.
func (f *flat) bytes(b []byte) {
	f.structure = append(append(f.structure, b...), make([]byte, -len(b)&3)...)
}

func (f *flat) node(name string, fill func()) {
	f.word(treeBegin)
	f.bytes(append([]byte(name), 0))
	fill()
	f.word(treeEnd)
}

func (f *flat) text(name, value string) { f.property(name, append([]byte(value), 0)) }

func (f *flat) cells(name string, values ...uint32) {
	var b []byte
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	f.property(name, b)
}

func (f *flat) property(name string, value []byte) {
	at, ok := f.names[name]
	if !ok {
		at = len(f.strings)
		f.names[name] = at
		f.strings = append(append(f.strings, name...), 0)
	}
	f.word(treeProperty)
	f.word(len(value))
	f.word(at)
	f.bytes(value)
}

func (f *flat) finish() []byte {
	f.word(treeFinish)
	start := treeHeader + treeReserved
	var b []byte
	for _, v := range []int{
		treeMagic, start + len(f.structure) + len(f.strings), start, start + len(f.structure), treeHeader,
		treeVersion, treeCompat, 0, len(f.strings), len(f.structure),
	} {
		b = binary.BigEndian.AppendUint32(b, uint32(v))
	}
	b = append(b, make([]byte, treeReserved)...)
	return append(append(b, f.structure...), f.strings...)
}

// pinmux returns the overlay that leaves one pin of the link's UART to it, and
// makes the other an input that nothing drives.
func pinmux(role string, p boards.Pins) ([]byte, error) {
	if role != "tx" && role != "rx" {
		return nil, fmt.Errorf("image: role %q has no direction", role)
	}
	f := &flat{names: map[string]int{}}
	if p.Function.RP1 != "" {
		f.node("", func() { pinmuxRP1(f, role, p) })
	} else {
		f.node("", func() { pinmuxBCM2835(f, role, p) })
	}
	return f.finish(), nil
}

// pinmuxBCM2835 sets the UART's group of pins, by the binding
// pinctrl/brcm,bcm2835-gpio.txt of Linux.
func pinmuxBCM2835(f *flat, role string, p boards.Pins) {
	functions, pulls := []uint32{p.Function.BCM2835, pinInput}, []uint32{pullNone, pullDown}
	if role == "rx" { // a cut line idles high, as a silent one does
		functions, pulls = []uint32{pinInput, p.Function.BCM2835}, []uint32{pullDown, pullUp}
	}
	f.text("compatible", "brcm,bcm2835")
	f.fragment(0, func() {
		f.cells("brcm,pins", uint32(p.TXD), uint32(p.RXD))
		f.cells("brcm,function", functions...)
		f.cells("brcm,pull", pulls...)
	})
	f.node("__fixups__", func() { f.text(p.Group, "/fragment@0:target:0") })
}

// pinmuxRP1 brings a group of pins and gives it to the UART, by the binding
// pinctrl/raspberrypi,rp1-gpio.yaml of Linux. It switches the UART on too: without
// this overlay the header carries nothing.
func pinmuxRP1(f *flat, role string, p boards.Pins) {
	const phandle = 1 // of the group; the firmware moves it to a free one
	f.text("compatible", "brcm,bcm2712")
	f.fragment(0, func() {
		f.node(boards.RP1Group, func() {
			f.cells("phandle", phandle)
			f.node("pin_txd", func() { f.pinRP1(p.TXD, p.Function.RP1, role == "tx", "bias-disable") })
			f.node("pin_rxd", func() { f.pinRP1(p.RXD, p.Function.RP1, role == "rx", "bias-pull-up") })
		})
	})
	f.fragment(1, func() {
		f.cells("pinctrl-0", phandle)
		f.text("pinctrl-names", "default")
		f.text("status", "okay")
	})
	f.node("__fixups__", func() {
		f.text(boards.RP1Controller, "/fragment@0:target:0")
		f.text(p.Function.RP1, "/fragment@1:target:0")
	})
	f.node("__local_fixups__", func() {
		f.node("fragment@1", func() {
			f.node("__overlay__", func() { f.cells("pinctrl-0", 0) })
		})
	})
}

// pinRP1 fills the node of one pin: the UART's with its pull, or a GPIO that is an
// input, is pulled down, and whose pad has its driver switched off.
func (f *flat) pinRP1(number int, function string, open bool, pull string) {
	if !open {
		function, pull = "gpio", "bias-pull-down"
	}
	f.text("function", function)
	f.text("pins", fmt.Sprintf("gpio%d", number))
	f.property(pull, nil)
	if !open {
		f.property("input-enable", nil)
		f.property("output-disable", nil)
	}
}

// fragment writes a part of an overlay, whose target __fixups__ names.
func (f *flat) fragment(number int, fill func()) {
	f.node(fmt.Sprintf("fragment@%d", number), func() {
		f.cells("target", unresolved)
		f.node("__overlay__", fill)
	})
}
