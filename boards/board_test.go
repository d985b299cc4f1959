package boards

import "testing"

func TestDetect(t *testing.T) {
	for _, c := range []struct{ name, model, want string }{
		{"Pi 4 of any revision", "Raspberry Pi 4 Model B Rev 1.5\x00", "rpi4b"},
		{"compute module", "Raspberry Pi Compute Module 4 Rev 1.1\x00", "cm4"},
		{"Pi 3", "Raspberry Pi 3 Model B Rev 1.2\x00", "rpi3b"},
		{"a Pi 3 B+ is another board", "Raspberry Pi 3 Model B Plus Rev 1.3\x00", ""},
		{"compute module 4S is told by its name", "Raspberry Pi Compute Module 4S Rev 1.0\x00", ""},
		{"emulator", "linux,dummy-virt\x00", "virt"},
		{"no device tree", "", "pc"},
		{"a board nobody described", "Acme Board", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Detect(c.model)
			if got.Name != c.want || ok != (c.want != "") {
				t.Errorf("Detect(%q): got %q, %v; want %q", c.model, got.Name, ok, c.want)
			}
		})
	}
}

func TestLinkIsNeverTheConsole(t *testing.T) {
	for _, b := range All() {
		if b.Link.Device != "" && b.Link.Device == b.Console.Device {
			t.Errorf("%s: link and console are both %s", b.Name, b.Link.Device)
		}
		if got, ok := ByName(b.Name); !ok || got.Name != b.Name {
			t.Errorf("ByName(%q): got %q, %v", b.Name, got.Name, ok)
		}
	}
}
