package boardcheck

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"heliograph/boards"
)

const (
	treeMagic = "\xd0\x0d\xfe\xed" // Devicetree Specification 0.4, 5.2
	overrides = "/__overrides__"   // what a tree or an overlay has parameters for
)

// onlyFirmware are overlays whose fragments aim at one another. The firmware merges
// those first; fdtoverlay does not support them.
var onlyFirmware = map[string]bool{"i2c-rtc": true}

// tree merges the overlays into the device tree, as the firmware does, and looks at
// what came of it.
func (p *partition) tree() {
	names := p.values("device_tree")
	if len(names) != 1 || names[0] != p.board.DeviceTree {
		p.t.Fatalf("config.txt names the device trees %q, want %s", names, p.board.DeviceTree)
	}
	p.read(p.prefix + "overlays/overlay_map.dtb")
	base := filepath.Join(p.folder, p.prefix, names[0])
	for _, parameter := range p.values("dtparam") {
		p.has(base, strings.SplitN(parameter, "=", 2)[0])
	}
	merged := base
	for i, overlay := range p.values("dtoverlay") {
		name, parameter, _ := strings.Cut(overlay, ",")
		file := filepath.Join(p.folder, p.prefix, "overlays", name+".dtbo")
		if b := p.read(p.prefix + "overlays/" + name + ".dtbo"); !bytes.HasPrefix(b, []byte(treeMagic)) {
			p.t.Errorf("%s is not a device tree", file)
		}
		if parameter != "" {
			p.has(file, parameter)
		}
		if onlyFirmware[name] {
			continue
		}
		next := filepath.Join(p.t.TempDir(), "merged.dtb")
		if said, err := exec.Command("fdtoverlay", "-i", merged, "-o", next, file).CombinedOutput(); err != nil {
			p.t.Fatalf("overlay %d, %s, does not fit: %v\n%s", i+1, overlay, err, said)
		}
		merged = next
	}
	p.ports(merged)
	p.header(merged)
	model := p.get(merged, "/", "model")
	if got, ok := boards.Detect(model + " Rev 1.0"); !ok || got.Name != p.board.Name {
		p.t.Errorf("the device tree's model is %q, which is board %q", model, got.Name)
	}
}

// get returns a property, as fdtget prints it.
func (p *partition) get(tree, node, property string) string {
	p.t.Helper()
	got, err := exec.Command("fdtget", tree, node, property).Output()
	if err != nil {
		p.t.Errorf("%s has no %s of %s", filepath.Base(tree), property, node)
	}
	return strings.TrimSpace(string(got))
}

// has checks that a tree or an overlay has a parameter.
func (p *partition) has(tree, parameter string) {
	p.t.Helper()
	if err := exec.Command("fdtget", tree, overrides, parameter).Run(); err != nil {
		p.t.Errorf("%s has no parameter %q", filepath.Base(tree), parameter)
	}
}

// alias is what the kernel numbers a port by.
func alias(u boards.UART) string { return strings.Replace(u.Device, "/dev/ttyAMA", "serial", 1) }

// ports checks that the kernel calls the ports as the board does: by their aliases
// (Linux, drivers/tty/serial/amba-pl011.c), and that they are switched on. The
// link's clock must be fast enough for its fastest line rate.
func (p *partition) ports(tree string) {
	const fastest = 4_000_000
	for _, u := range []boards.UART{p.board.Link, p.board.Console} {
		node := p.get(tree, "/aliases", alias(u))
		if status := p.get(tree, node, "status"); status != "okay" {
			p.t.Errorf("%s is %s, with status %q; want okay", u.Device, node, status)
		}
		if compatible := p.get(tree, node, "compatible"); !strings.Contains(compatible, "arm,pl011") {
			p.t.Errorf("%s is %s, a %s; want a PL011", u.Device, node, compatible)
		}
	}
	for _, value := range p.values("init_uart_clock") {
		if hertz, err := strconv.Atoi(value); err != nil || hertz < 16*fastest {
			p.t.Errorf("init_uart_clock is %s, %v; want %d at least", value, err, 16*fastest)
		}
	}
}

// header checks which pins of the header the link's UART has got: one, in the group
// that the UART takes its pins from.
func (p *partition) header(tree string) {
	pins := p.board.Link.Pins
	want := fmt.Sprintf("%d 0", pins.Function.BCM2835)
	if p.role == "rx" {
		want = fmt.Sprintf("0 %d", pins.Function.BCM2835)
	}
	group := p.get(tree, "/__symbols__", pins.Group)
	if got := p.get(tree, group, "brcm,pins"); got != fmt.Sprintf("%d %d", pins.TXD, pins.RXD) {
		p.t.Errorf("%s has pins %q, want GPIO %d and %d", group, got, pins.TXD, pins.RXD)
	}
	if got := p.get(tree, group, "brcm,function"); got != want {
		p.t.Errorf("%s has functions %q, want %q for %s", group, got, want, p.role)
	}
	node := p.get(tree, "/aliases", alias(p.board.Link))
	if got, want := p.get(tree, node, "pinctrl-0"), p.get(tree, group, "phandle"); got != want {
		p.t.Errorf("%s takes the pins of %q, want %q, which are those of %s", node, got, want, group)
	}
}
