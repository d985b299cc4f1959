package boardcheck

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"heliograph/boards"
)

// trees checks every device tree that the firmware may choose, with and without the
// overlays that it adds by itself.
func (p *partition) trees() {
	named := p.values("device_tree")
	if len(p.board.Variants) == 0 && !slices.Equal(named, []string{p.board.DeviceTree}) {
		p.t.Fatalf("config.txt names the device trees %q, want %s", named, p.board.DeviceTree)
	}
	if len(p.board.Variants) > 0 && len(named) > 0 {
		p.t.Fatalf("config.txt names the device tree %q, and the firmware has to choose among %q", named,
			append([]string{p.board.DeviceTree}, p.board.Variants...))
	}
	p.read(p.prefix + "overlays/overlay_map.dtb")
	for i, name := range append([]string{p.board.DeviceTree}, p.board.Variants...) {
		for _, loaded := range [][]string{nil, p.board.Loaded} {
			tree := p.merged(name, loaded)
			for _, fault := range slices.Concat(p.ports(tree), p.header(tree), p.buses(tree, i == 0), p.model(tree),
				p.ownLED(tree)) {
				p.t.Errorf("%s with %v: %s", name, loaded, fault)
			}
			if len(p.board.Loaded) == 0 {
				break
			}
		}
	}
}

// merged returns a device tree with everything that config.txt asks for.
func (p *partition) merged(name string, loaded []string) *node {
	tree := p.parsed(name)
	for _, overlay := range slices.Concat(loaded, p.values("dtoverlay")) {
		file, parameter, given := strings.Cut(overlay, ",")
		o := p.parsed("overlays/" + file + ".dtbo")
		if key, value, _ := strings.Cut(parameter, "="); given {
			if err := set(o, key, value); err != nil {
				p.t.Fatalf("overlay %s: %v", overlay, err)
			}
		}
		if err := merge(tree, o); err != nil {
			p.t.Fatalf("%s: overlay %s does not fit: %v", name, overlay, err)
		}
	}
	for _, parameter := range p.values("dtparam") {
		key, value, _ := strings.Cut(parameter, "=")
		if err := set(tree, key, value); err != nil {
			p.t.Errorf("%s: %v", name, err)
		}
	}
	p.firmware(tree)
	return tree
}

func (p *partition) parsed(name string) *node {
	tree, err := parse(p.read(p.prefix + name))
	if err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return tree
}

// firmware does what settings beside overlays have the firmware do to the tree.
// otg_mode (raspberrypi.com, config.txt): 1 connects the port to the xHCI host, and
// the other host is then off.
func (p *partition) firmware(tree *node) {
	if slices.Contains(p.values("otg_mode"), "1") {
		for label, status := range map[string]string{"xhci": "okay", "usb": "disabled"} {
			if _, n := tree.labelled(label); n != nil {
				n.values["status"] = []byte(status + "\x00")
			}
		}
	}
}

// alias is what the kernel numbers a port by.
func alias(u boards.UART) string { return strings.Replace(u.Device, "/dev/ttyAMA", "serial", 1) }

// ports checks that the kernel calls the ports as the board does: by their aliases
// (Linux, drivers/tty/serial/amba-pl011.c), that they are switched on, and that their
// fastest rate is a sixteenth of their clock.
func (p *partition) ports(tree *node) (faults []string) {
	for _, u := range []boards.UART{p.board.Link, p.board.Console} {
		if u.OnUSB() {
			continue
		}
		path := tree.child("aliases").text(alias(u))
		if off := tree.enabled(path); path == "" || off != "" {
			faults = append(faults, fmt.Sprintf("%s is %q: %s; want it switched on", u.Device, path, off))
			continue
		}
		n := tree.at(path)
		if compatible := n.text("compatible"); !strings.HasPrefix(compatible, "arm,pl011") {
			faults = append(faults, fmt.Sprintf("%s is a %s, want a PL011", u.Device, compatible))
		}
		if hertz := p.clock(tree, n); hertz != 16*u.Fastest {
			faults = append(faults, fmt.Sprintf("%s has a clock of %d Hz, and its fastest rate is %d baud", u.Device,
				hertz, u.Fastest))
		}
	}
	return faults
}

// clock returns a UART's clock: what config.txt has it set to, or that of
// the oscillator which it comes from.
func (p *partition) clock(tree, uart *node) int {
	for _, value := range p.values("init_uart_clock") {
		if hertz, err := strconv.Atoi(value); err == nil {
			return hertz
		}
	}
	for range 4 { // a clock, its generator, their oscillator
		c := uart.cells("clocks")
		if len(c) == 0 {
			break
		}
		if uart = tree.byHandle(c[0]); uart == nil {
			break
		}
		if f := uart.cells("clock-frequency"); len(f) == 1 {
			return int(f[0])
		}
	}
	return 0
}

// header checks which pins of the header the link's UART has got: one.
func (p *partition) header(tree *node) []string {
	pins := p.board.Link.Pins
	open, shut := pins.TXD, pins.RXD
	if p.role == "rx" {
		open, shut = shut, open
	}
	uart := tree.at(tree.child("aliases").text(alias(p.board.Link)))
	var group *node
	if c := uart.cells("pinctrl-0"); len(c) == 1 {
		group = tree.byHandle(c[0])
	}
	if group == nil {
		return []string{"the link's UART has not got one group of pins"}
	}
	got := functions(group)
	connected := fmt.Sprintf("function %d", pins.Function.BCM2835)
	if pins.Function.RP1 != "" {
		connected = "function " + pins.Function.RP1
	}
	if len(got) != 2 || got[open] != connected || got[shut] != "input" {
		return []string{fmt.Sprintf("the link's UART has the pins %v, want GPIO %d with %s and GPIO %d as an input",
			got, open, connected, shut)}
	}
	return nil
}

// functions returns what the pins of a group are, by either binding.
func functions(group *node) map[int]string {
	got := map[int]string{}
	list := group.cells("brcm,function")
	for i, pin := range group.cells("brcm,pins") {
		if f := list[min(i, len(list)-1)]; f == 0 {
			got[int(pin)] = "input"
		} else {
			got[int(pin)] = fmt.Sprintf("function %d", f)
		}
	}
	for _, n := range group.children {
		for _, name := range n.texts("pins") {
			pin, err := strconv.Atoi(strings.TrimPrefix(name, "gpio"))
			if err != nil {
				pin = -1
			}
			got[pin] = "function " + n.text("function")
			if n.text("function") == "gpio" && n.property("input-enable") != nil &&
				n.property("output-disable") != nil {
				got[pin] = "input"
			}
		}
	}
	return got
}

// buses checks that what a link's interface may be plugged into is switched on: in the
// first tree every bus, in others one for each driver.
func (p *partition) buses(tree *node, first bool) (faults []string) {
	reached := map[string]bool{}
	for _, bus := range p.board.Network.Buses {
		path, _ := tree.labelled(bus.Host)
		off := "there is no such label"
		if path != "" {
			off = tree.enabled(path)
		}
		if off != "" && (first || len(bus.Drivers) == 0) {
			faults = append(faults, fmt.Sprintf("%s: %s, so no interface works on it", bus.Host, off))
		}
		for _, d := range bus.Drivers {
			reached[d] = reached[d] || off == ""
		}
	}
	for d, ok := range reached {
		if !ok && !first {
			faults = append(faults, d+" is on buses that are all switched off")
		}
	}
	return faults
}

// ownLED checks that the kernel has an LED of the name (leds/common.yaml: label).
func (p *partition) ownLED(tree *node) (faults []string) {
	if p.board.OwnLED == "" {
		return nil
	}
	fault := "no LED is called " + p.board.OwnLED
	tree.all(func(path string, n *node) {
		if strings.Contains(path, "/leds/") && n.text("label") == p.board.OwnLED {
			fault = tree.enabled(path)
		}
	})
	if fault != "" {
		faults = append(faults, "LED "+p.board.OwnLED+": "+fault)
	}
	return faults
}

// model checks that the image's board is the one that this tree is for. A tree of
// another board is on the card for old loaders, and never chosen.
func (p *partition) model(tree *node) []string {
	model := tree.text("model")
	for _, suffix := range []string{"", " Rev 1.0"} {
		got, ok := boards.Detect(model + suffix)
		other := slices.Contains(p.board.Variants, got.DeviceTree)
		if !ok || got.Name != p.board.Name && !other {
			return []string{fmt.Sprintf("its model is %q, which is board %q", model+suffix, got.Name)}
		}
	}
	return nil
}

// Every rule finds what breaks it: boards are spoilt, and their trees read from the
// kernel's module as an image would have them, without its own overlay.
func TestFaultsOfTreesAreFound(t *testing.T) {
	drop := func(lines []string, gone string) []string {
		return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, gone) })
	}
	for _, c := range []struct {
		name, board, tree, want string
		spoil                   func(*boards.Board)
	}{
		{"no USB host on a CM4", "cm4", "", "xhci: /scb/xhci@7e9c0000 is disabled", func(b *boards.Board) {
			b.Config = drop(b.Config, "otg_mode")
		}},
		{"no PCIe on a CM5", "cm5", "", "pciex1: /axi/pcie@1000110000 is disabled", func(b *boards.Board) {
			b.Config = drop(b.Config, "dtparam=pciex1")
		}},
		{"no USB on a CM5 on the board of a CM4", "cm5", "bcm2712-rpi-cm5-cm4io.dtb", "buses that are all switched off",
			func(b *boards.Board) { b.Overlays = drop(b.Overlays, "dwc2") }},
		{"a bus without a label", "rpi4b", "", "pcie7: there is no such label", func(b *boards.Board) {
			b.Network.Buses = []boards.Bus{{Host: "pcie7"}}
		}},
		{"a console that is off", "rpi4b", "", "/dev/ttyAMA3 is", func(b *boards.Board) {
			b.Overlays = drop(b.Overlays, "uart3")
		}},
		{"a port that has no alias", "rpi4b", "", "/dev/ttyAMA9 is", func(b *boards.Board) {
			b.Link.Device = "/dev/ttyAMA9"
		}},
		{"a clock that is too slow", "rpi5", "", "a clock of 9216000 Hz", func(b *boards.Board) {
			b.Console.Fastest = 4_000_000
		}},
		{"the link's UART on a Pi 5 without the image's overlay", "rpi5", "", "/dev/ttyAMA0 is",
			func(*boards.Board) {}},
		{"pins both ways", "rpi5", "", "GPIO 14 with function uart0 and GPIO 15 as an input", func(b *boards.Board) {
			b.Overlays = append(b.Overlays, "uart0-pi5")
		}},
		{"pins of Bluetooth", "zero2w", "", "want GPIO 14 with function 4", func(b *boards.Board) {
			b.Overlays = drop(b.Overlays, "disable-bt")
		}},
		{"an LED that is off", "rpi400", "", "LED ACT: /leds/led-act is disabled", func(b *boards.Board) {
			b.OwnLED = "ACT"
		}},
		{"the tree of another board", "cm4", "bcm2711-rpi-4-b.dtb", `which is board "rpi4b"`, func(*boards.Board) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, _ := boards.ByName(c.board)
			c.spoil(&b)
			p := &partition{t: t, folder: kernelFolder(t), board: b, role: "tx", config: b.Config}
			for _, o := range b.Overlays {
				p.config = append(p.config, "dtoverlay="+o)
			}
			tree := p.merged(cmp.Or(c.tree, b.DeviceTree), nil)
			faults := slices.Concat(p.ports(tree), p.header(tree), p.buses(tree, c.tree == ""), p.model(tree),
				p.ownLED(tree))
			if !strings.Contains(strings.Join(faults, "\n"), c.want) {
				t.Errorf("got %q, want %q among them", faults, c.want)
			}
		})
	}
}

func TestOverlaysThatDoNotFitAreRefused(t *testing.T) {
	folder := kernelFolder(t)
	read := func(name string) *node { return parsedFile(t, filepath.Join(folder, name)) }
	if err := merge(read("bcm2711-rpi-cm4s.dtb"), read("overlays/disable-bt.dtbo")); err == nil {
		t.Error("got no error for an overlay of Bluetooth on a board without")
	}
	for _, c := range [][2]string{{"i2c-rtc", "ds3232"}, {"i2c-rtc", "addr"}} {
		if err := set(read("overlays/"+c[0]+".dtbo"), c[1], "1"); err == nil {
			t.Errorf("%s: got no error for the parameter %s", c[0], c[1])
		}
	}
	b, err := os.ReadFile(filepath.Join(folder, "overlays/uart3.dtbo"))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b)-100; n += 7 {
		if _, err := parse(b[:n]); err == nil {
			t.Fatalf("got a tree from the first %d of %d bytes", n, len(b))
		}
	}
}

// The merge here is compared with fdtoverlay, which refuses overlays that the firmware
// takes: those with labels on fragments, parameters, or fragments that aim at one
// another.
func TestMergeIsThatOfFdtoverlay(t *testing.T) {
	folder := kernelFolder(t)
	for _, c := range []struct{ tree, overlays string }{
		{"bcm2711-rpi-4-b.dtb", "disable-bt disable-wifi uart3"},
		{"bcm2710-rpi-3-b-plus.dtb", "disable-bt disable-wifi"},
		{"bcm2712-rpi-5-b.dtb", "bcm2712d0 disable-bt-pi5 disable-wifi-pi5"},
	} {
		t.Run(c.tree, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "merged.dtb")
			args := []string{"-i", filepath.Join(folder, c.tree), "-o", out}
			ours := parsedFile(t, filepath.Join(folder, c.tree))
			for name := range strings.FieldsSeq(c.overlays) {
				file := filepath.Join(folder, "overlays", name+".dtbo")
				args = append(args, file)
				if err := merge(ours, parsedFile(t, file)); err != nil {
					t.Fatal(err)
				}
			}
			if said, err := exec.Command("fdtoverlay", args...).CombinedOutput(); err != nil {
				t.Fatalf("fdtoverlay: %v\n%s", err, said)
			}
			if got, want := ours.String(), parsedFile(t, out).String(); got != want {
				t.Errorf("the merged trees differ: %s", difference(got, want))
			}
		})
	}
}

// difference returns the first line that only one of two texts has.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("got %.200q, want %.200q", a[i], b[i])
		}
	}
	return fmt.Sprintf("got %d lines, want %d", len(a), len(b))
}

func kernelFolder(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("fdtoverlay"); err != nil {
		t.Skip("not proved: trees are merged as fdtoverlay does, because it is not installed")
	}
	said, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/gokrazy/kernel.rpi").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(said))
}

func parsedFile(t *testing.T, name string) *node {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n, err := parse(b)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
