package boards

import "testing"

func TestDetect(t *testing.T) {
	for _, c := range []struct{ name, model, want string }{
		{"Pi 4 of any revision", "Raspberry Pi 4 Model B Rev 1.5\x00", "rpi4b"},
		{"compute module", "Raspberry Pi Compute Module 4 Rev 1.1\x00", "cm4"},
		{"Pi 3", "Raspberry Pi 3 Model B Rev 1.2\x00", "rpi3b"},
		{"a Pi 3 B+ is another board", "Raspberry Pi 3 Model B Plus Rev 1.3\x00", ""},
		{"compute module 4S is recognised by its name", "Raspberry Pi Compute Module 4S Rev 1.0\x00", ""},
		{"emulator", "linux,dummy-virt\x00", "virt"},
		{"no device tree", "", "pc"},
		{"a board that is not described", "Acme Board", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := Detect(c.model)
			if got.Name != c.want || ok != (c.want != "") {
				t.Errorf("Detect(%q): got %q, %v; want %q", c.model, got.Name, ok, c.want)
			}
		})
	}
}

// rules are what holds for every board; broken says how one breaks it, or "".
func rules() map[string]func(Board) string {
	return map[string]func(Board) string{
		"has a name of its own": func(b Board) string {
			if got, ok := ByName(b.Name); !ok || got.Model != b.Model {
				return "its name finds another"
			}
			return ""
		},
		"link is not the console": func(b Board) string {
			if b.Link.Device != "" && b.Link.Device == b.Console.Device {
				return "both are " + b.Link.Device
			}
			return ""
		},
		"no pin has two uses": func(b Board) string {
			used := map[int]string{}
			for _, u := range uses(b) {
				if other, ok := used[u.number]; ok {
					return other + " and " + u.what
				}
				used[u.number] = u.what
			}
			return ""
		},
		"link's interface is not the outside's": func(b Board) string {
			if b.Network.Link != "" && (b.Network.Link == b.Network.Outside || len(b.Network.Drivers()) == 0) {
				return "link " + b.Network.Link
			}
			return ""
		},
		"a board with firmware has all of it": func(b Board) string {
			if b.HasFirmware != (len(b.Firmware) > 0) || b.HasFirmware != (b.DeviceTree != "") {
				return "firmware or device tree is missing"
			}
			return ""
		},
	}
}

type use struct {
	number int
	what   string
}

// uses lists the lines of a board's first chip that something needs.
func uses(b Board) []use {
	var list []use
	for what, l := range map[string]Line{"heartbeat LED": b.Heartbeat, "link LED": b.LinkLED} {
		if l.Chip != "" {
			list = append(list, use{l.Number, what})
		}
	}
	for what, u := range map[string]UART{"link": b.Link, "console": b.Console} {
		if u.Pins != (Pins{}) {
			list = append(list, use{u.Pins.TXD, what + " TXD"}, use{u.Pins.RXD, what + " RXD"})
		}
	}
	for _, name := range b.Overlays {
		switch name {
		case "uart3":
			list = append(list, use{4, name}, use{5, name})
		case "i2c-rtc,ds3231":
			list = append(list, use{2, name}, use{3, name})
		}
	}
	return list
}

func TestEveryBoardKeepsTheRules(t *testing.T) {
	for _, b := range All() {
		for name, broken := range rules() {
			t.Run(b.Name+" "+name, func(t *testing.T) {
				if why := broken(b); why != "" {
					t.Errorf("got %q, want none", why)
				}
			})
		}
	}
}

func TestRulesFindWhatIsWrong(t *testing.T) {
	for name, spoil := range map[string]func(*Board){
		"has a name of its own":                 func(b *Board) { b.Name = "cm4" },
		"link is not the console":               func(b *Board) { b.Console = b.Link },
		"no pin has two uses":                   func(b *Board) { b.LinkLED = b.Heartbeat },
		"link's interface is not the outside's": func(b *Board) { b.Network.Link = b.Network.Outside },
		"a board with firmware has all of it":   func(b *Board) { b.DeviceTree = "" },
	} {
		b := rpi4b()
		spoil(&b)
		if rules()[name](b) == "" {
			t.Errorf("%s: got no fault in a board that breaks it", name)
		}
	}
}
