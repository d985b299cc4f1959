package fit_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/boards/fit"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
)

// document writes a configuration of a role with the given lines of [link], and of
// [status] and its channel.
func document(t *testing.T, role, link, more string) string {
	t.Helper()
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	channel := "listen = [\"udp://0.0.0.0:514\"]\n"
	if role == "rx" {
		channel = "forward = \"tcp://siem:601\"\n"
	}
	text := "pair = \"p\"\n[link]\nkey_file = \"pair.key\"\n" + link + more + "[[syslog]]\nchannel = \"s\"\n" + channel
	name := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func load(b boards.Board, n fit.Network, role, name string) (l config.Link, err error) {
	m := fit.Machine(b, n)
	if role == "rx" {
		c, _, err := m.LoadRX(name)
		return c.Link, err
	}
	c, _, err := m.LoadTX(name)
	return c.Link, err
}

func board(t *testing.T, name string) boards.Board {
	t.Helper()
	b, ok := boards.ByName(name)
	if !ok {
		t.Fatalf("no board %s", name)
	}
	return b
}

func static(s string) fit.Network {
	return fit.Network{Interface: "eth0", Address: netip.MustParsePrefix(s)}
}

func TestWhatABoardCannotDoIsAFaultOfItsLine(t *testing.T) {
	for _, c := range []struct {
		name, board, role, link, more string
		network                       fit.Network
		line                          int // 0: no fault
		want                          string
	}{
		{name: "the header", link: "medium = \"uart\"\ndevice = \"/dev/ttyAMA0\"\n"},
		{name: "the console", link: "medium = \"uart\"\ndevice = \"/dev/ttyAMA3\"\n", line: 5,
			want: "is the console of board rpi4b: leave device out, or write \"/dev/ttyAMA0\" (TXD GPIO 14"},
		{name: "another name", link: "medium = \"uart\"\ndevice = \"/dev/serial0\"\n", line: 5,
			want: "\"/dev/serial0\" is not the link of board rpi4b"},
		{name: "an adapter", link: "medium = \"uart\"\nbaud = 115200\ndevice = \"/dev/ttyUSB0\"\n", line: 6,
			want: "is not the link"},
		{name: "the watchdog", link: "medium = \"uart\"\ndevice = \"/dev/watchdog0\"\n", line: 5,
			want: "is not the link"},
		{name: "anything on a PC", board: "pc", link: "medium = \"uart\"\ndevice = \"/dev/ttyUSB0\"\n"},
		{name: "nothing on a PC", board: "pc", link: "medium = \"uart\"\n", line: 2, want: "device is missing"},
		{name: "a second interface", link: "medium = \"ethernet\"\ninterface = \"eth1\"\n"},
		{name: "by chance", board: "zero2w", link: "medium = \"ethernet\"\ninterface = \"eth1\"\n", line: 5,
			want: "is chance: name the link's own by"},
		{name: "by its path", board: "zero2w",
			link: "medium = \"ethernet\"\ninterface = \"path:platform-3f980000.usb-usb-0:1.2:1.0\"\n"},
		{name: "no driver for a second one", board: "rpi3b", link: "medium = \"ethernet\"\ninterface = \"eth1\"\n",
			line: 4, want: "has no second interface"},
		{name: "the plant's interface", link: "medium = \"ethernet\"\ninterface = \"eth0\"\n", line: 5,
			want: "\"eth0\" is the board's own, to the plant: leave interface out, or write \"eth1\""},
		{name: "IT's interface", role: "rx", link: "medium = \"ethernet\"\ninterface = \"eth0\"\n", line: 5,
			want: "to IT"},
		{name: "interfaces the other way round", link: "medium = \"ethernet\"\ninterface = \"eth0\"\n",
			network: fit.Network{Interface: "eth1"}},
		{name: "a name of a PC", link: "medium = \"ethernet\"\ninterface = \"enp3s0\"\n", line: 5,
			want: "is not one of board rpi4b"},
		{name: "wireless", link: "medium = \"ethernet\"\ninterface = \"wlan0\"\n", line: 5,
			want: "is not one of board"},
		{name: "by its address", link: "medium = \"ethernet\"\ninterface = \"mac:02:00:5e:10:00:01\"\n"},
		{name: "by its path", link: "medium = \"ethernet\"\ninterface = \"path:platform-fd580000.ethernet\"\n"},
		{name: "UDP on an interface of its own", role: "rx", link: "medium = \"udp\"\naddress = " +
			"\"10.9.0.2:17000\"\ninterface = \"eth1\"\nlocal = \"10.9.0.2/30\"\n", network: static("10.0.0.2/24")},
		{name: "UDP on IT's interface", role: "rx", link: "medium = \"udp\"\naddress = " +
			"\"10.9.0.2:17000\"\ninterface = \"eth0\"\nlocal = \"10.9.0.2/30\"\n", network: static("10.0.0.2/24"),
			line: 6, want: "\"eth0\" is the board's own, to IT"},
		{name: "TX to itself", link: "medium = \"udp\"\naddress = \"127.0.0.1:17000\"\n", line: 5,
			want: "is this board itself"},
		{name: "TX to its address", link: "medium = \"udp\"\naddress = \"10.0.0.2:17000\"\n",
			network: static("10.0.0.2/24"), line: 5, want: "is this board itself"},
		{name: "TX to RX", link: "medium = \"udp\"\naddress = \"10.0.0.3:17000\"\n", network: static("10.0.0.2/24")},
		{name: "RX from itself alone", role: "rx", link: "medium = \"udp\"\naddress = \"127.0.0.1:17000\"\n",
			line: 5, want: "reached from this board alone: write 0.0.0.0:17000"},
		{name: "RX at an address of another", role: "rx", link: "medium = \"udp\"\naddress = \"10.0.0.9:17000\"\n",
			network: static("10.0.0.2/24"), line: 5, want: "the board's address is 10.0.0.2"},
		{name: "RX with an interface of the link's own", role: "rx",
			link:    "medium = \"udp\"\naddress = \"10.9.0.2:17000\"\ninterface = \"eth1\"\nlocal = \"10.9.0.2/30\"\n",
			network: static("10.0.0.2/24")},
		{name: "RX with IT's interface", role: "rx",
			link:    "medium = \"udp\"\naddress = \"10.9.0.2:17000\"\ninterface = \"eth0\"\nlocal = \"10.9.0.2/30\"\n",
			network: static("10.0.0.2/24"), line: 6, want: "is the board's own, to IT"},
		{name: "status at an address of another", link: "medium = \"uart\"\n",
			more: "[status]\nlisten = \"10.0.0.9:9464\"\n", network: static("10.0.0.2/24"), line: 6,
			want: "listen \"10.0.0.9:9464\": the board's address is 10.0.0.2 (network.toml)"},
		{name: "status at the board's", link: "medium = \"uart\"\n", more: "[status]\nlisten = \"10.0.0.2:9464\"\n",
			network: static("10.0.0.2/24")},
		{name: "status by a server's address", link: "medium = \"uart\"\n",
			more: "[status]\nlisten = \"10.0.0.9:9464\"\n", network: fit.Network{Interface: "eth0"}},
		{name: "IPv6", link: "medium = \"uart\"\n", more: "[status]\nlisten = \"[fd00::1]:9464\"\n", line: 6,
			want: "boards have no IPv6"},
		{name: "loopback", link: "medium = \"uart\"\n", more: "[status]\nlisten = \"[::1]:9464\"\n",
			network: static("10.0.0.2/24")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.board == "" {
				c.board = "rpi4b"
			}
			name := document(t, c.role, c.link, c.more)
			_, err := load(board(t, c.board), c.network, c.role, name)
			faults, _ := errors.AsType[config.Faults](err)
			if c.line == 0 && err != nil {
				t.Errorf("got %v, want none", err)
			}
			if c.line > 0 && (len(faults) != 1 || faults[0].Line != c.line || !strings.Contains(faults[0].Message,
				c.want)) {
				t.Errorf("got %v; want %q on line %d alone", err, c.want, c.line)
			}
		})
	}
}

func TestABoardSuppliesWhatItsConfigurationLeavesOut(t *testing.T) {
	for name, c := range map[string]struct {
		board, link string
		want        config.Link
	}{
		"port and rate": {"virt", "medium = \"uart\"\n", config.Link{Device: "/dev/ttyAMA0", Baud: 115200}},
		"port": {"rpi4b", "medium = \"uart\"\nbaud = 57600\n",
			config.Link{Device: "/dev/ttyAMA0", Baud: 57600}},
		"interface": {"rpi4b", "medium = \"ethernet\"\n", config.Link{Interface: "eth1"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := document(t, "tx", c.link, "")
			checked, err := load(board(t, c.board), fit.Network{}, "tx", file)
			if err != nil {
				t.Fatal(err)
			}
			started, _, err := fit.Defaults(c.board).LoadTX(file)
			if err != nil || started.Link != checked {
				t.Errorf("got link %+v at the role's start (%v), want %+v", started.Link, err, checked)
			}
			if checked.Device != c.want.Device || checked.Baud != c.want.Baud || checked.Interface != c.want.Interface {
				t.Errorf("got link %+v, want %+v", checked, c.want)
			}
		})
	}
	if _, _, err := fit.Defaults("").LoadTX(document(t, "tx", "medium = \"uart\"\n", "")); err == nil {
		t.Error("no board: got no fault, want that the device is missing")
	}
}

func TestRateBeyondThePortIsRefused(t *testing.T) {
	b := board(t, "rpi4b")
	b.Link.Fastest = 3_125_000
	name := document(t, "tx", "medium = \"uart\"\nbaud = 4000000\n", "")
	if _, err := load(b, fit.Network{}, "tx", name); err == nil || !strings.Contains(err.Error(),
		":5: baud 4000000: the port of board rpi4b does at most 3125000") {
		t.Errorf("got %v, want the fault of line 5", err)
	}
}

func TestABoardWithoutASecondInterfaceHasNoEthernetLink(t *testing.T) {
	b := board(t, "rpi4b")
	b.Network.Link, b.Network.Buses = "", nil
	name := document(t, "tx", "medium = \"ethernet\"\ninterface = \"eth1\"\n", "")
	if _, err := load(b, fit.Network{}, "tx", name); err == nil || !strings.Contains(err.Error(),
		":4: board rpi4b has no second interface for a link") {
		t.Errorf("got %v, want the fault of line 4", err)
	}
}

func TestNetworkHasAnInterfaceOfTheBoardAndNotTheLinks(t *testing.T) {
	link := config.Link{Medium: config.Ethernet, Interface: "eth1"}
	for name, c := range map[string]struct{ board, iface, want string }{
		"the board's own": {"rpi4b", "eth0", ""},
		"the link's":      {"rpi4b", "eth1", "is the link's: the board's own is \"eth0\""},
		"a PC's name":     {"rpi4b", "enp3s0", "is not one of board rpi4b"},
		"on a PC":         {"pc", "enp3s0", ""},
		"by chance":       {"cm4s", "eth0", "is chance: name the board's own by"},
		"by its path":     {"cm4s", "path:platform-fe980000.usb-usb-0:1.1:1.0", ""},
	} {
		list := fit.CheckNetwork(board(t, c.board), fit.Network{Interface: c.iface}, link)
		if c.want == "" && len(list) > 0 || c.want != "" && (len(list) != 1 || list[0].Key != "interface" ||
			!strings.Contains(list[0].Message, c.want)) {
			t.Errorf("%s: got %+v, want %q", name, list, c.want)
		}
	}
}
