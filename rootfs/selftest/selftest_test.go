package selftest

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"unsafe"

	"heliograph/boards"
)

// good is a Pi that works.
func good() (Machine, fstest.MapFS) {
	b, _ := boards.ByName("rpi4b")
	root := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/device-tree/model":                             "Raspberry Pi 4 Model B Rev 1.5\x00",
		"proc/device-tree/chosen/bootloader/build-timestamp": "\x67\x90\x8f\x80",
		"proc/cmdline": "console=ttyAMA3,115200 root=x",
		"proc/mounts":  "/dev/mmcblk0p4 /data ext4 rw,nosuid 0 0\n",
		"proc/device-tree/__symbols__/uart0_pins":                     "/soc/gpio@7e200000/uart0_pins\x00",
		"proc/device-tree/soc/gpio@7e200000/uart0_pins/brcm,function": "\x00\x00\x00\x04\x00\x00\x00\x00",
		"proc/tty/driver/ttyAMA": "serinfo:1.0 driver revision:\n" +
			"0: uart:PL011 rev2 mmio:0xFE201000 irq:35 tx:4711 rx:1 brk:1 CTS\n" +
			"3: uart:PL011 rev2 mmio:0xFE201600 irq:35 tx:99 rx:12 CTS\n",
		"sys/class/net/eth0/operstate":       "up\n",
		"sys/fs/ext4/mmcblk0p4/errors_count": "0\n",
		"proc/7/fdinfo/3":                    "pos:\t0\nflags:\t0104001\n",
		"proc/7/status": "Name:\theliotx\nUid:\t1000\t1000\t1000\t1000\n" +
			"CapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n",
		"dev/gpiochip0":                        "",
		"sys/class/watchdog/watchdog0/state":   "active\n",
		"sys/class/watchdog/watchdog0/timeout": "15\n",
		"sys/class/rtc/rtc0/name":              "rtc-ds1307\n",
		"sys/class/thermal/thermal_zone0/temp": "48312\n",
	} {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	link(root, "sys/class/net/eth0/device/driver", "../../../bus/platform/drivers/bcmgenet")
	return Machine{
		Root: root, Board: b, Role: "tx", PID: 7, Link: b.Link.Device,
		Output: func(boards.Line) (bool, error) { return true, nil },
		Room:   func(string) (uint64, uint64, error) { return 900 << 20, 1000 << 20, nil },
		Timed:  func() bool { return true },
		Minute: &Minute{Root: root, Link: func() string { return b.Link.Device }},
	}, root
}

const rp1Group = "proc/device-tree/axi/rp1/gpio@d0000/" + boards.RP1Group

// pi5 makes the machine a Pi 5 that transmits.
func pi5(m *Machine, root fstest.MapFS) {
	m.Board, _ = boards.ByName("rpi5")
	for name, text := range map[string]string{
		"proc/device-tree/__symbols__/" + boards.RP1Controller: "/axi/rp1/gpio@d0000\x00",
		rp1Group + "/pin_txd/function":                         "uart0\x00",
		rp1Group + "/pin_rxd/function":                         "gpio\x00",
		rp1Group + "/pin_rxd/output-disable":                   "",
	} {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
}

func link(root fstest.MapFS, name, to string) {
	root[name] = &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink}
}

func TestEachCheck(t *testing.T) {
	set := func(name, text string) func(*Machine, fstest.MapFS) {
		return func(_ *Machine, root fstest.MapFS) { root[name] = &fstest.MapFile{Data: []byte(text)} }
	}
	gone := func(name string) func(*Machine, fstest.MapFS) {
		return func(_ *Machine, root fstest.MapFS) {
			maps.DeleteFunc(root, func(n string, _ *fstest.MapFile) bool { return strings.HasPrefix(n, name) })
		}
	}
	const (
		function     = "proc/device-tree/soc/gpio@7e200000/uart0_pins/brcm,function"
		headerCheck  = "the link header is open in one direction"
		bootCheck    = "the boot loader starts trials of updates"
		rateCheck    = "the link's port keeps up with its rate"
		trafficCheck = "the link's port has worked in one direction only"
		driverCheck  = "the link's interface has a driver that is known to fit"
		dataCheck    = "the data partition has a journal and no errors"
	)
	const status = "Uid:\t1000\nCapBnd:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	for _, tt := range []struct {
		name  string
		spoil func(*Machine, fstest.MapFS)
		check string
		want  Verdict
	}{
		{"another board", set("proc/device-tree/model", "Raspberry Pi 3 Model B Rev 1.2"),
			"the image is for this board", Fail},
		{"boot loader of 2020", set("proc/device-tree/chosen/bootloader/build-timestamp", "\x5f\x50\xdc\x7f"),
			bootCheck, Fail},
		{"boot loader that tells nothing", gone("proc/device-tree/chosen"), bootCheck, NotProved},
		{"boot loader on the card", func(m *Machine, root fstest.MapFS) {
			gone("proc/device-tree/chosen")(m, root)
			m.Board.Firmware = []string{"bootcode.bin", "start.elf"}
		}, bootCheck, Pass},
		{"no device tree", gone("proc/device-tree"), "the image is for this board", NotProved},
		{"link open for both", set("proc/7/fdinfo/3", "flags:\t0104002\n"), "the role holds its link in one direction",
			Fail},
		{"TX could read", set("proc/7/fdinfo/3", "flags:\t0104000\n"), "the role holds its link in one direction",
			Fail},
		{"RX may read", func(m *Machine, root fstest.MapFS) {
			m.Role = "rx"
			set("proc/7/fdinfo/3", "flags:\t0104000\n")(m, root)
		}, "the role holds its link in one direction", Pass},
		{"RX could write", func(m *Machine, _ fstest.MapFS) { m.Role = "rx" },
			"the role holds its link in one direction", Fail},
		{"a socket", func(m *Machine, _ fstest.MapFS) { m.Link = "eth1" }, "the role holds its link in one direction",
			NotProved},
		{"role does not run", func(m *Machine, _ fstest.MapFS) { m.PID = 0 }, "the role runs in its sandbox",
			NotProved},
		{"role is root", set("proc/7/status", strings.Replace(status, "1000", "0", 1)), "the role runs in its sandbox",
			Fail},
		{"no filter", set("proc/7/status", strings.Replace(status, "Seccomp:\t2", "Seccomp:\t0", 1)),
			"the role runs in its sandbox", Fail},
		{"a capability", set("proc/7/status", strings.Replace(status, "CapBnd:\t0", "CapBnd:\t2000", 1)),
			"the role runs in its sandbox", Fail},
		{"may gain privileges", set("proc/7/status", strings.Replace(status, "Privs:\t1", "Privs:\t0", 1)),
			"the role runs in its sandbox", Fail},
		{"empty status", set("proc/7/status", ""), "the role runs in its sandbox", Fail},
		{"console on the link", set("proc/cmdline", "console=ttyAMA0,115200"), "the kernel's console is not the link",
			Fail},
		{"interface in reach", func(m *Machine, root fstest.MapFS) {
			m.Link = "eth1"
			set("sys/class/net/eth1/mtu", "1500")(m, root)
		}, "the link's interface is in a namespace of its own", Fail},
		{"interface taken away", func(m *Machine, _ fstest.MapFS) { m.Link = "eth1" },
			"the link's interface is in a namespace of its own", Pass},
		{"header open both ways", set(function, "\x00\x00\x00\x04\x00\x00\x00\x04"), headerCheck, Fail},
		{"header of the other role", func(m *Machine, _ fstest.MapFS) { m.Role = "rx" }, headerCheck, Fail},
		{"header of RX", func(m *Machine, root fstest.MapFS) {
			m.Role = "rx"
			set(function, "\x00\x00\x00\x00\x00\x00\x00\x04")(m, root)
		}, headerCheck, Pass},
		{"header of another function", set(function, "\x00\x00\x00\x04\x00\x00\x00\x01"), headerCheck, Fail},
		{"half a header", set(function, "\x00\x00\x00\x04"), headerCheck, NotProved},
		{"no overlay's symbols", gone("proc/device-tree/__symbols__"), headerCheck, NotProved},
		{"header of a Pi 5", pi5, headerCheck, Pass},
		{"of a Pi 5, of the other role", func(m *Machine, root fstest.MapFS) {
			pi5(m, root)
			m.Role = "rx"
		}, headerCheck, Fail},
		{"of a Pi 5, open both ways", func(m *Machine, root fstest.MapFS) {
			pi5(m, root)
			set(rp1Group+"/pin_rxd/function", "uart0\x00")(m, root)
		}, headerCheck, Fail},
		{"of a Pi 5, with the pad's driver on", func(m *Machine, root fstest.MapFS) {
			pi5(m, root)
			gone(rp1Group+"/pin_rxd/output-disable")(m, root)
		}, headerCheck, Fail},
		{"of a Pi 5 without the image's overlay", func(m *Machine, root fstest.MapFS) {
			pi5(m, root)
			gone(rp1Group)(m, root)
		}, headerCheck, NotProved},
		{"TX received characters", set("proc/tty/driver/ttyAMA", "0: uart:PL011 tx:9 rx:2\n"), trafficCheck, Fail},
		{"RX sent characters", func(m *Machine, root fstest.MapFS) {
			m.Role = "rx"
			set("proc/tty/driver/ttyAMA", "0: uart:PL011 tx:1 rx:2000\n")(m, root)
		}, trafficCheck, Fail},
		{"RX sent reverse probes", func(m *Machine, root fstest.MapFS) {
			m.Role, m.Sent = "rx", 1600
			set("proc/tty/driver/ttyAMA", "0: uart:PL011 tx:1590 rx:2000\n")(m, root)
		}, trafficCheck, Pass},
		{"RX sent more than reverse probes", func(m *Machine, root fstest.MapFS) {
			m.Role, m.Sent = "rx", 1600
			set("proc/tty/driver/ttyAMA", "0: uart:PL011 tx:1601 rx:2000\n")(m, root)
		}, trafficCheck, Fail},
		{"RX received characters", func(m *Machine, root fstest.MapFS) {
			m.Role = "rx"
			set("proc/tty/driver/ttyAMA", "0: uart:PL011 tx:0 rx:2000\n")(m, root)
		}, trafficCheck, Pass},
		{"port on the PC's controller", func(m *Machine, root fstest.MapFS) {
			m.Link = "/dev/ttyS0"
			set("proc/tty/driver/serial", "0: uart:16550A tx:9 rx:3\n")(m, root)
		}, trafficCheck, Fail},
		{"port without counters", set("proc/tty/driver/ttyAMA", "0: uart:unknown\n"), trafficCheck, NotProved},
		{"another port's counters", set("proc/tty/driver/ttyAMA", "3: uart:PL011 tx:9 rx:3\n"), trafficCheck,
			NotProved},
		{"RX's port lost bytes in this minute", received("rx:900 oe:1"), rateCheck, Fail},
		{"RX's kernel lost bytes in this minute", received("rx:900 bo:7"), rateCheck, Fail},
		{"RX received bytes without a stop bit", received("rx:900 fe:2"), rateCheck, Fail},
		{"RX received all", received("rx:900 brk:1"), rateCheck, Pass},
		{"RX received nothing", received("rx:0"), rateCheck, NotProved},
		{"RX has just started", func(m *Machine, _ fstest.MapFS) { m.Role = "rx" }, rateCheck, NotProved},
		{"no driver for the link", func(m *Machine, root fstest.MapFS) {
			m.Link = "eth1"
			set("sys/bus/usb/drivers/r8152/bind", "")(m, root)
			link(root, "sys/bus/usb/drivers/r8152/module", "../../../../module/r8152")
		}, driverCheck, Fail},
		{"driver for the link", func(m *Machine, root fstest.MapFS) {
			m.Link = "eth1"
			link(root, "sys/bus/usb/drivers/r8152/2-1:1.0", "../../../../devices/usb2/2-1/2-1:1.0")
		}, driverCheck, Pass},
		{"no network interface", gone("sys/class/net/"), "the network interface works", Fail},
		{"no cable", set("sys/class/net/eth0/operstate", "down\n"), "the network interface works", Fail},
		{"no program drives the LED", func(m *Machine, _ fstest.MapFS) {
			m.Output = func(boards.Line) (bool, error) { return false, nil }
		}, "the heartbeat LED's line is driven", Fail},
		{"no GPIO chip", func(m *Machine, _ fstest.MapFS) {
			m.Output = func(boards.Line) (bool, error) { return false, errors.New("no such file") }
		}, "the link LED's line is driven", Fail},
		{"clock not set", func(m *Machine, _ fstest.MapFS) { m.Timed = func() bool { return false } },
			"the time of day is known", NotProved},
		{"card full", func(m *Machine, _ fstest.MapFS) {
			m.Room = func(string) (uint64, uint64, error) { return 1 << 20, 1000 << 20, nil }
		}, "the data partition has room", Fail},
		{"card's errors", set("sys/fs/ext4/mmcblk0p4/errors_count", "3\n"), dataCheck, Fail},
		{"kernel shows no errors", gone("sys/fs/ext4"), dataCheck, NotProved},
		{"journal not replayed", set("proc/mounts", "/dev/mmcblk0p4 /data ext4 ro,noload 0 0\n"), dataCheck, Fail},
		{"watchdog not armed", set("sys/class/watchdog/watchdog0/state", "inactive"), "the watchdog is armed", Fail},
		{"no watchdog", gone("sys/class/watchdog"), "the watchdog is armed", Fail},
		{"kernel without its state", gone("sys/class/watchdog/watchdog0/state"), "the watchdog is armed", NotProved},
		{"no RTC", gone("sys/class/rtc"), "a clock that runs without power", NotProved},
		{"data in memory", set("proc/mounts", "tmpfs /data tmpfs rw 0 0\n"), dataCheck, Fail},
		{"no data", set("proc/mounts", ""), dataCheck, Fail},
		{"too hot", set("sys/class/thermal/thermal_zone0/temp", "85000"), "the processor's temperature", Fail},
		{"no sensor", gone("sys/class/thermal"), "the processor's temperature", NotProved},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, root := good()
			tt.spoil(&m, root)
			for _, r := range Run(m) {
				if r.Check == tt.check {
					if r.Verdict != tt.want {
						t.Errorf("got %s (%s), want %s", r.Verdict, r.Found, tt.want)
					}
					return
				}
			}
			t.Errorf("no check %q", tt.check)
		})
	}
}

func TestGoodBoardPasses(t *testing.T) {
	m, _ := good()
	var out bytes.Buffer
	Print(&out, Run(m))
	if !strings.HasSuffix(out.String(), "\n18 passed, 0 failed, 2 not proved\n") {
		t.Errorf("got\n%s\nwant 18 passed, the wire left to people and no interface for the link", out.String())
	}
}

// A newcomer with two boards finds each line of the output in the checklist.
func TestChecklistNamesEveryCheck(t *testing.T) {
	const file = "../../boards/hardware-checklist.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Join(strings.Fields(string(text)), " ")
	m, _ := good()
	results := Run(m)
	for _, r := range results[:len(results)-1] { // the last is for people to see
		if !strings.Contains(list, `"`+r.Check+`"`) {
			t.Errorf("%s does not name %q", file, r.Check)
		}
	}
}

func TestKernelIsAsked(t *testing.T) {
	if _, size, err := room(t.TempDir()); err != nil || size == 0 {
		t.Errorf("got %d bytes, %v; want the size of a filesystem", size, err)
	}
	if _, _, err := room("/nowhere"); err == nil {
		t.Error("got no error for a folder that is not there")
	}
	if driven, err := output(boards.Line{Chip: "/dev/null"}); driven || err == nil {
		t.Errorf("got %t, %v; want an error: this is not a GPIO chip", driven, err)
	}
	if driven, err := output(boards.Line{Chip: "pinctrl-none"}); driven || err == nil {
		t.Errorf("got %t, %v; want an error: no chip has that label", driven, err)
	}
	if size := unsafe.Sizeof(chipInfo{}); size != chipInfoRequest>>16&0x3FFF {
		t.Errorf("got a structure of %d bytes, want %d as the request says", size, chipInfoRequest>>16&0x3FFF)
	}
	if size := unsafe.Sizeof(lineInfo{}); size != lineInfoRequest>>16&0x3FFF {
		t.Errorf("got a structure of %d bytes, want %d as the request says", size, lineInfoRequest>>16&0x3FFF)
	}
}
