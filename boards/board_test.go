package boards

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, c := range []struct{ name, model, want string }{
		{"Pi 4 of any revision", "Raspberry Pi 4 Model B Rev 1.5\x00", "rpi4b"},
		{"compute module", "Raspberry Pi Compute Module 4 Rev 1.1\x00", "cm4"},
		{"Pi 3", "Raspberry Pi 3 Model B Rev 1.2\x00", "rpi3b"},
		{"a Pi 3 B+ is another board", "Raspberry Pi 3 Model B Plus Rev 1.3\x00", "rpi3bplus"},
		{"its model in the tree", "Raspberry Pi 3 Model B+", "rpi3bplus"},
		{"Pi 3 A+", "Raspberry Pi 3 Model A Plus Rev 1.0\x00", ""},
		{"compute module 4S", "Raspberry Pi Compute Module 4S Rev 1.0\x00", "cm4s"},
		{"Pi 400", "Raspberry Pi 400 Rev 1.0\x00", "rpi400"},
		{"Pi 5", "Raspberry Pi 5 Model B Rev 1.1\x00", "rpi5"},
		{"its model in the tree", "Raspberry Pi 5", "rpi5"},
		{"a Pi 500 is another board", "Raspberry Pi 500 Rev 1.0\x00", ""},
		{"compute module 5", "Raspberry Pi Compute Module 5 Rev 1.0\x00", "cm5"},
		{"without eMMC", "Raspberry Pi Compute Module 5 Lite Rev 1.0\x00", "cm5"},
		{"Zero 2 W", "Raspberry Pi Zero 2 W Rev 1.0\x00", "zero2w"},
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
			if b.HasFirmware != (b.DeviceTree != "") {
				return "firmware or device tree is missing"
			}
			return ""
		},
		"a link's pins have one function": func(b Board) string {
			f := b.Link.Pins.Function
			if b.Link.Pins != (Pins{}) && (f.BCM2835 != 0) == (f.RP1 != "") {
				return fmt.Sprintf("%+v", f)
			}
			return ""
		},
		"a rate is not above the port's fastest": func(b Board) string {
			for _, u := range []UART{b.Link, b.Console} {
				if u.Fastest != 0 && u.Baud > u.Fastest {
					return fmt.Sprintf("%s at %d baud", u.Device, u.Baud)
				}
			}
			return ""
		},
		"pins of every overlay are known": func(b Board) string {
			for _, o := range b.Overlays {
				if _, ok := overlayPins[o]; !ok {
					return o
				}
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
		for _, pin := range overlayPins[name] {
			list = append(list, use{pin, name})
		}
	}
	return list
}

// overlayPins are the header's pins that overlays use, as the README of Linux's
// overlays has them. disable-bt gives a board the UART that Link names.
var overlayPins = map[string][]int{
	"uart3": {4, 5}, "uart2-pi5": {4, 5}, "i2c-rtc,ds3231": {2, 3},
	"disable-bt": nil, "disable-wifi": nil, "disable-bt-pi5": nil, "disable-wifi-pi5": nil, "dwc2,dr_mode=host": nil,
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
		"has a name of its own":                  func(b *Board) { b.Name = "cm4" },
		"link is not the console":                func(b *Board) { b.Console = b.Link },
		"no pin has two uses":                    func(b *Board) { b.LinkLED = b.Heartbeat },
		"link's interface is not the outside's":  func(b *Board) { b.Network.Link = b.Network.Outside },
		"a board with firmware has all of it":    func(b *Board) { b.DeviceTree = "" },
		"a link's pins have one function":        func(b *Board) { b.Link.Pins.Function.RP1 = "uart0" },
		"a rate is not above the port's fastest": func(b *Board) { b.Link.Baud = 4_000_001 },
		"pins of every overlay are known":        func(b *Board) { b.Overlays = []string{"uart5"} },
	} {
		b := rpi4b()
		spoil(&b)
		if rules()[name](b) == "" {
			t.Errorf("%s: got no fault in a board that breaks it", name)
		}
	}
}

func TestFlagsListEveryBoardThatHasAnImage(t *testing.T) {
	names := Names()
	for _, want := range []string{"rpi4b", "rpi400", "cm4", "cm4s", "rpi5", "cm5", "rpi3bplus", "zero2w", "virt"} {
		if !strings.Contains(names, want) {
			t.Errorf("got %q, want %s among them", names, want)
		}
	}
	if strings.Contains(names, "pc") {
		t.Errorf("got %q: a PC boots from its own disk", names)
	}
}

func TestKernelDoesNotWriteToUSB(t *testing.T) {
	for board, want := range map[string]string{"rpi4b": "ttyAMA3,115200", "zero2w": "tty1"} {
		b, _ := ByName(board)
		if got := b.KernelConsole(); got != want {
			t.Errorf("%s: got %s, want %s", board, got, want)
		}
	}
}

// An operator finds each board in the table and in the checklist.
func TestDocumentsNameEveryBoard(t *testing.T) {
	for _, file := range []string{"README.md", "hardware-checklist.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range All() {
			want := "`" + b.Name + "`"
			if file != "README.md" {
				want = "| " + b.Name + " |"
			}
			if (file == "README.md" || b.Link.Pins != (Pins{})) && !strings.Contains(string(text), want) {
				t.Errorf("%s does not name %s", file, b.Name)
			}
		}
	}
}
