package flash

import (
	"bytes"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// machine is a made-up /sys and /proc: a laptop with an encrypted disk, a card in
// a USB reader, one in a slot of its own, and what else goes by /dev/sd.
func machine() fstest.MapFS {
	m := fstest.MapFS{
		"proc/self/mountinfo": {Data: []byte(strings.Join([]string{
			`23 1 0:35 / / rw shared:1 - btrfs /dev/mapper/luks-root rw`,
			`24 1 259:1 / /boot/efi rw - vfat /dev/nvme0n1p1 rw`,
			`25 1 8:33 / /media/anna/MY\040CARD rw - vfat /dev/sdc1 rw`,
			`26 1 9:0 / /srv rw - ext4 /dev/md0 rw`,
		}, "\n"))},
		"proc/swaps": {Data: []byte("Filename Type Size Used Priority\n/dev/sdf1 partition 1 0 -2\n")},
	}
	const gigabyte = "1953125" // in sectors
	disk := func(name, number, sectors string, files map[string]string) {
		real := "sys/devices/" + name
		if files["usb"] != "" {
			real = "sys/devices/pci0/usb1/1-2/1-2:1.0/host6/block/" + name
			m["sys/devices/pci0/usb1/1-2/serial"] = &fstest.MapFile{Data: []byte(files["usb"] + "\n")}
			delete(files, "usb")
		}
		m["sys/block/"+name] = &fstest.MapFile{Data: []byte("../" + strings.TrimPrefix(real, "sys/")),
			Mode: fs.ModeSymlink}
		m["sys/class/block/"+name] = &fstest.MapFile{Data: []byte("../../" + strings.TrimPrefix(real, "sys/")),
			Mode: fs.ModeSymlink}
		files["dev"], files["size"] = number, sectors
		for at, text := range files {
			m[real+"/"+at] = &fstest.MapFile{Data: []byte(text + "\n")}
			if part, ok := strings.CutSuffix(at, "/partition"); ok {
				m["sys/class/block/"+part] = &fstest.MapFile{
					Data: []byte("../../" + strings.TrimPrefix(real, "sys/") + "/" + part), Mode: fs.ModeSymlink}
			}
		}
	}
	type f = map[string]string
	disk("nvme0n1", "259:0", gigabyte+"000", f{"device/model": "Laptop", "nvme0n1p1/partition": "1",
		"nvme0n1p1/dev":       "259:1",
		"nvme0n1p2/partition": "2", "nvme0n1p2/dev": "259:2", "nvme0n1p2/holders/dm-0": ""})
	disk("dm-0", "253:0", gigabyte+"000", f{"dm/name": "luks-root"})
	disk("sdb", "8:16", gigabyte+"0", f{"removable": "1", "device/vendor": "Generic ",
		"device/model": "Card \x1b[2JReader", "usb": "A0815", "diskseq": "7"})
	disk("mmcblk0", "179:0", gigabyte+"0", f{"device/type": "SD", "device/name": "SC16G", "device/serial": "0x1234"})
	disk("mmcblk1", "179:8", gigabyte+"0", f{"device/type": "MMC", "device/name": "soldered"})
	disk("sdc", "8:32", gigabyte+"0", f{"removable": "1", "sdc1/partition": "1", "sdc1/dev": "8:33"})
	disk("sdd", "8:48", gigabyte+"0", f{"removable": "1", "holders/md0": ""})
	disk("md0", "9:0", gigabyte+"0", f{})
	disk("sde", "8:64", "0", f{"removable": "1"})
	disk("sdf", "8:80", gigabyte+"0", f{"removable": "1", "sdf1/partition": "1", "sdf1/dev": "8:81"})
	disk("sdg", "8:96", gigabyte+"0", f{"removable": "1", "ro": "1"})
	disk("sdh", "8:112", gigabyte+"000", f{"removable": "1"})
	disk("sdi", "8:128", "1000", f{"removable": "1"})
	disk("sdj", "8:144", gigabyte+"0", f{"removable": "0", "device/vendor": "RPi-MSD-", "device/model": "0001"})
	disk("sdk", "8:160", gigabyte+"0", f{"removable": "0", "device/vendor": "mmcblk0", "device/model": ""})
	disk("sdl", "8:176", gigabyte+"0", f{"removable": "1", "queue/logical_block_size": "4096"})
	return m
}

func drive(t *testing.T, root fs.FS, name string) Drive {
	t.Helper()
	list, err := sysfsDrives(root)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(d Drive) bool { return d.Name == name })
	if i < 0 {
		t.Fatalf("got no drive %s in %v", name, list)
	}
	return list[i]
}

func TestDrivesAreDescribed(t *testing.T) {
	for name, want := range map[string]string{
		"sdb":     "/dev/sdb: 10.0 GB Generic Card [2JReader serial A0815",
		"mmcblk0": "/dev/mmcblk0: 10.0 GB SC16G serial 0x1234",
		"sdc":     "/dev/sdc: 10.0 GB, mounted on /media/anna/MY CARD",
		"sdj":     "/dev/sdj: 10.0 GB Compute Module (its eMMC, by rpiboot) RPi-MSD- 0001",
		"sdk":     "/dev/sdk: 10.0 GB Compute Module (its eMMC, by rpiboot) mmcblk0",
	} {
		if got := drive(t, machine(), name).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	const never = "never written"
	for name, c := range map[string]struct{ drive, want, overridden string }{
		"card in a reader":         {"sdb", "", ""},
		"card in a slot":           {"mmcblk0", "", ""},
		"soldered memory":          {"mmcblk1", "not removable", ""},
		"disk of / behind LUKS":    {"nvme0n1", never, never},
		"what / is on":             {"dm-0", never, never},
		"mounted":                  {"sdc", `mounted on /media/anna/MY CARD: look`, ""},
		"part of a mounted array":  {"sdd", "mounted on /srv", ""},
		"reader without a card":    {"sde", "put a card in", "put a card in"},
		"swapped to":               {"sdf", "swapped to", ""},
		"locked":                   {"sdg", "card's lock", ""},
		"too large for a card":     {"sdh", "no more than 128 GB", ""},
		"eMMC of a module":         {"sdj", "", ""},
		"eMMC by the gadget":       {"sdk", "", ""},
		"large sectors":            {"sdl", "sectors of 4096 bytes", "sectors of 4096 bytes"},
		"too small":                {"sdi", "take a larger card", "take a larger card"},
		"array that is not listed": {"md0", "mounted on /srv", ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := drive(t, machine(), c.drive)
			for override, want := range map[bool]string{false: c.want, true: c.overridden} {
				err := d.Refusal(512<<20, override)
				if got := ""; err != nil {
					got = err.Error()
					if want == "" || !strings.Contains(got, want) || strings.ContainsAny(got, "\n\x1b") {
						t.Errorf("override %v: got %q, want one line with %q", override, got, want)
					}
				} else if want != "" {
					t.Errorf("override %v: got no refusal, want %q", override, want)
				}
			}
		})
	}
}

// Where / is on no drive that is seen, as on ZFS and overlays, --override stays without what may be
// the computer's own.
func TestWithoutAKnownSystemDiskAllInUseIsTheComputersOwn(t *testing.T) {
	m := machine()
	table := m["proc/self/mountinfo"]
	table.Data = bytes.Replace(table.Data, []byte("/dev/mapper/luks-root"), []byte("rpool/ROOT/os"), 1)
	for name, never := range map[string]bool{
		"nvme0n1": true, "dm-0": true, "mmcblk1": true, "sdc": true, "sdf": true, "sdd": true,
		"sdb": false, "mmcblk0": false, "sdh": false, "sdj": false,
	} {
		err := drive(t, m, name).Refusal(512<<20, true)
		if got := err != nil && strings.Contains(err.Error(), "never written"); got != never {
			t.Errorf("%s: got %v, want that it is the computer's own: %t", name, err, never)
		}
	}
}

func TestHolderAloneIsReasonEnough(t *testing.T) {
	m := machine()
	m["proc/self/mountinfo"] = &fstest.MapFile{}
	if err := drive(t, m, "sdd").Refusal(0, false); err == nil || !strings.Contains(err.Error(), "part of md0") {
		t.Errorf("got %v, want that it is part of md0", err)
	}
}

func TestUnknownUseIsAnError(t *testing.T) {
	for name, table := range map[string]*fstest.MapFile{
		"missing":  nil,
		"too long": {Data: make([]byte, mostTable+1)},
	} {
		t.Run(name, func(t *testing.T) {
			m := machine()
			delete(m, "proc/self/mountinfo")
			if table != nil {
				m["proc/self/mountinfo"] = table
			}
			if _, err := sysfsDrives(m); err == nil {
				t.Error("got drives, want an error: none is known to be unused")
			}
		})
	}
}

func TestDriveIsFoundByItsNumber(t *testing.T) {
	for number, want := range map[string]string{
		"8:16": "sdb", "8:33": "name the whole one, /dev/sdc", "253:0": "dm-0", "7:7": "does not list device 7:7",
	} {
		d, err := driveOf(machine(), number)
		got := d.Name
		if err != nil {
			got = err.Error()
		}
		if !strings.HasSuffix(got, want) && !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", number, got, want)
		}
	}
}
