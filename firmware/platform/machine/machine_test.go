package machine

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// files makes a machine of files, and links whose content begins with "->".
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range content {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(text) > 2 && text[:2] == "->" {
			err = os.Symlink(text[2:], path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const mounts = `21 1 0:19 / / rw - squashfs /dev/root ro
30 21 179:3 / /data rw,noatime shared:5 - ext4 /dev/mmcblk0p3 rw
31 21 0:20 / /database rw - tmpfs tmpfs rw
`

func TestFactsOfAMachine(t *testing.T) {
	emmc := map[string]string{
		"proc/uptime": "1234.56 99.00\n", "proc/self/mountinfo": mounts,
		"sys/class/thermal/thermal_zone0/temp": "47774\n",
		"sys/class/hwmon/hwmon0/name":          "cpu_thermal\n", "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
		"sys/class/hwmon/hwmon1/in0_lcrit_alarm":            "0\n",
		"sys/dev/block/179:3":                               "->../../devices/mmc/block/mmcblk0/mmcblk0p3",
		"sys/devices/mmc/block/mmcblk0/mmcblk0p3/partition": "3\n",
		"sys/devices/mmc/block/mmcblk0/stat":                "1 2 3 4 5 6 2343750 8 9 10 11\n",
		"sys/devices/mmc/block/mmcblk0/device/life_time":    "0x01 0x02\n",
	}
	change := func(with map[string]string) map[string]string {
		all := map[string]string{}
		for name, text := range emmc {
			all[name] = text
		}
		for name, text := range with {
			if delete(all, name); text != "" {
				all[name] = text
			}
		}
		return all
	}
	degrees := 47.774
	name, _ := os.Hostname()
	want := Facts{Name: name, UptimeSeconds: 1234.56, Temperature: &degrees, Supply: Fine,
		Card: "10 to 20 % worn, 1.2 GB written since boot"}
	for title, c := range map[string]struct {
		files map[string]string
		want  func(*Facts)
	}{
		"an eMMC": {emmc, func(*Facts) {}},
		"a card": {change(map[string]string{"sys/devices/mmc/block/mmcblk0/device/life_time": ""}),
			func(f *Facts) { f.Card = "1.2 GB written since boot" }},
		"a worn eMMC": {change(map[string]string{"sys/devices/mmc/block/mmcblk0/device/life_time": "0x0b 0x02"}),
			func(f *Facts) { f.Card = "worn beyond its rated life, 1.2 GB written since boot" }},
		"an eMMC that does not say": {change(map[string]string{
			"sys/devices/mmc/block/mmcblk0/device/life_time": "0x00 x"}),
			func(f *Facts) { f.Card = "1.2 GB written since boot" }},
		"state in memory": {change(map[string]string{"proc/self/mountinfo": "21 1 0:19 / / rw - tmpfs tmpfs rw\n"}),
			func(f *Facts) { f.Card = "" }},
		"low supply": {change(map[string]string{"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}),
			func(f *Facts) { f.Supply = LowNow }},
		"a kernel of Raspberry Pi": {change(map[string]string{
			"sys/class/hwmon/hwmon1/name": "", "sys/devices/platform/soc/soc:firmware/get_throttled": "0x50000\n"}),
			func(f *Facts) { f.Supply = LowBefore }},
		"nothing": {nil, func(f *Facts) { *f = Facts{Name: name} }},
		"nonsense": {change(map[string]string{"proc/uptime": "x y", thermal: "warm",
			"sys/devices/platform/soc@1/soc@1:firmware/get_throttled": "much",
			"sys/class/hwmon/hwmon1/name":                             "",
			"sys/devices/mmc/block/mmcblk0/stat":                      "1 2 3 4 5 6 x",
			"sys/devices/mmc/block/mmcblk0/device/life_time":          ""}), func(f *Facts) { *f = Facts{Name: name} }},
	} {
		t.Run(title, func(t *testing.T) {
			r := &Reader{Root: files(t, c.files), State: "/data/state"}
			want := want
			c.want(&want)
			if got := r.Facts(); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestStateOfARelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := Of("state", false).State, filepath.Join(folder, "state"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLowSupplyIsRemembered(t *testing.T) {
	alarm := "sys/class/hwmon/hwmon0/in0_lcrit_alarm"
	root := files(t, map[string]string{"sys/class/hwmon/hwmon0/name": "rpi_volt", alarm: "0"})
	r := &Reader{Root: root}
	for _, c := range []struct{ alarm, want string }{{"0", Fine}, {"1", LowNow}, {"0", LowBefore}} {
		if err := os.WriteFile(filepath.Join(root, alarm), []byte(c.alarm), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := r.Facts().Supply; got != c.want {
			t.Errorf("alarm %s: got %q, want %q", c.alarm, got, c.want)
		}
	}
}

func TestFactsCrossToTheRole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "board.json")
	degrees := 50.5
	want := Facts{Name: "rx-1", UptimeSeconds: 7, Temperature: &degrees, Supply: Fine, Card: "new",
		LED: &LED{"1 flash", "frames are lost"}}
	if err := Write(file, want); err != nil {
		t.Fatal(err)
	}
	if got := Read(file); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(-2*stale)); err != nil {
		t.Fatal(err)
	}
	if got := Read(file); got != (Facts{}) {
		t.Errorf("of a PID 1 that writes no more: got %+v", got)
	}
	for _, text := range []string{"", "[]", `{"name":`, string(make([]byte, maxFile+1))} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := Read(file); got != (Facts{}) {
			t.Errorf("%q: got %+v", text, got)
		}
	}
	if got := Read(file + "-none"); got != (Facts{}) {
		t.Errorf("of no file: got %+v", got)
	}
}
