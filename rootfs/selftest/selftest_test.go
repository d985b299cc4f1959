package selftest

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"heliograph/boards"
)

// good is a Pi that works.
func good() (Machine, fstest.MapFS) {
	b, _ := boards.ByName("rpi4b")
	root := fstest.MapFS{}
	for name, text := range map[string]string{
		"proc/device-tree/model":               "Raspberry Pi 4 Model B Rev 1.5\x00",
		"proc/cmdline":                         "console=ttyAMA3,115200 root=x",
		"proc/mounts":                          "/dev/mmcblk0p4 /data ext4 rw,nosuid 0 0\n",
		"proc/7/fdinfo/3":                      "pos:\t0\nflags:\t0104001\n",
		"proc/7/status":                        "Name:\theliotx\nUid:\t1000\t1000\t1000\t1000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n",
		"dev/gpiochip0":                        "",
		"sys/class/watchdog/watchdog0/state":   "active\n",
		"sys/class/watchdog/watchdog0/timeout": "15\n",
		"sys/class/rtc/rtc0/name":              "rtc-ds1307\n",
		"sys/class/thermal/thermal_zone0/temp": "48312\n",
	} {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Machine{Root: root, Board: b, Role: "tx", PID: 7, Link: b.Link.Device}, root
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
	const status = "Uid:\t1000\nCapBnd:\t0\nNoNewPrivs:\t1\nSeccomp:\t2\n"
	for _, tt := range []struct {
		name  string
		spoil func(*Machine, fstest.MapFS)
		check string
		want  Verdict
	}{
		{"another board", set("proc/device-tree/model", "Raspberry Pi 3 Model B Rev 1.2"), "the image is for this board", Fail},
		{"no device tree", gone("proc/device-tree"), "the image is for this board", NotProved},
		{"link open for both", set("proc/7/fdinfo/3", "flags:\t0104002\n"), "the role holds its link in one direction", Fail},
		{"TX could read", set("proc/7/fdinfo/3", "flags:\t0104000\n"), "the role holds its link in one direction", Fail},
		{"RX may read", func(m *Machine, root fstest.MapFS) {
			m.Role = "rx"
			set("proc/7/fdinfo/3", "flags:\t0104000\n")(m, root)
		}, "the role holds its link in one direction", Pass},
		{"RX could write", func(m *Machine, _ fstest.MapFS) { m.Role = "rx" }, "the role holds its link in one direction", Fail},
		{"a socket", func(m *Machine, _ fstest.MapFS) { m.Link = "eth1" }, "the role holds its link in one direction", NotProved},
		{"role does not run", func(m *Machine, _ fstest.MapFS) { m.PID = 0 }, "the role sits in its sandbox", NotProved},
		{"role is root", set("proc/7/status", strings.Replace(status, "1000", "0", 1)), "the role sits in its sandbox", Fail},
		{"no filter", set("proc/7/status", strings.Replace(status, "Seccomp:\t2", "Seccomp:\t0", 1)), "the role sits in its sandbox", Fail},
		{"a capability", set("proc/7/status", strings.Replace(status, "CapBnd:\t0", "CapBnd:\t2000", 1)), "the role sits in its sandbox", Fail},
		{"may gain privileges", set("proc/7/status", strings.Replace(status, "Privs:\t1", "Privs:\t0", 1)), "the role sits in its sandbox", Fail},
		{"empty status", set("proc/7/status", ""), "the role sits in its sandbox", Fail},
		{"console on the link", set("proc/cmdline", "console=ttyAMA0,115200"), "the kernel's console is not the link", Fail},
		{"interface in reach", func(m *Machine, root fstest.MapFS) { m.Link = "eth1"; set("sys/class/net/eth1/mtu", "1500")(m, root) }, "the link's interface is out of everybody's reach", Fail},
		{"interface taken away", func(m *Machine, _ fstest.MapFS) { m.Link = "eth1" }, "the link's interface is out of everybody's reach", Pass},
		{"no GPIO chip", gone("dev/"), "the LED's GPIO chip", Fail},
		{"watchdog not armed", set("sys/class/watchdog/watchdog0/state", "inactive"), "the watchdog is armed", Fail},
		{"no watchdog", gone("sys/class/watchdog"), "the watchdog is armed", Fail},
		{"kernel without its state", gone("sys/class/watchdog/watchdog0/state"), "the watchdog is armed", NotProved},
		{"no RTC", gone("sys/class/rtc"), "a clock that runs without power", NotProved},
		{"data in memory", set("proc/mounts", "tmpfs /data tmpfs rw 0 0\n"), "the data partition has a journal", Fail},
		{"no data", set("proc/mounts", ""), "the data partition has a journal", Fail},
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
			t.Errorf("there is no check %q", tt.check)
		})
	}
}

func TestGoodBoardPasses(t *testing.T) {
	m, _ := good()
	var out bytes.Buffer
	Print(&out, Run(m))
	if !strings.HasSuffix(out.String(), "\n10 passed, 0 failed, 1 not proved\n") {
		t.Errorf("got\n%s\nwant 10 passed and the wire left to people", out.String())
	}
}
