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
	pins := []uint32{uint32(p.TXD), uint32(p.RXD)}
	var functions, pulls []uint32
	switch role {
	case "tx":
		functions, pulls = []uint32{p.Function.BCM2835, pinInput}, []uint32{pullNone, pullDown}
	case "rx": // a cut line idles high, as a silent one does
		functions, pulls = []uint32{pinInput, p.Function.BCM2835}, []uint32{pullDown, pullUp}
	default:
		return nil, fmt.Errorf("image: role %q has no direction", role)
	}
	f := &flat{names: map[string]int{}}
	f.node("", func() {
		f.text("compatible", "brcm,bcm2835")
		f.node("fragment@0", func() {
			f.cells("target", unresolved)
			f.node("__overlay__", func() {
				f.cells("brcm,pins", pins...)
				f.cells("brcm,function", functions...)
				f.cells("brcm,pull", pulls...)
			})
		})
		f.node("__fixups__", func() { f.text(p.Group, "/fragment@0:target:0") })
	})
	return f.finish(), nil
}
