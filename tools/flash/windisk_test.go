package flash

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
)

// answer is a STORAGE_DEVICE_DESCRIPTOR as a reader gives it.
func answer(removable byte, bus uint32, vendor, product, serial string) []byte {
	b := make([]byte, 40)
	le := binary.LittleEndian
	b[10] = removable
	le.PutUint32(b[28:], bus)
	for field, text := range map[int]string{12: vendor, 16: product, 24: serial} {
		if text != "" {
			le.PutUint32(b[field:], uint32(len(b)))
			b = append(append(b, text...), 0)
		}
	}
	le.PutUint32(b[4:], uint32(len(b)))
	return b
}

func TestWindowsDescriptors(t *testing.T) {
	far := answer(1, 7, "a", "b", "c")
	binary.LittleEndian.PutUint32(far[12:], 0xFFFFFFF0)
	endless := answer(1, 7, "", "", "")
	binary.LittleEndian.PutUint32(endless[12:], 36)
	copy(endless[36:], "endl")
	for name, c := range map[string]struct {
		give []byte
		want descriptor
		ok   bool
	}{
		"reader": {answer(1, 7, "Generic ", "STORAGE DEVICE  ", "0A1B"),
			descriptor{"Generic", "STORAGE DEVICE", "0A1B", true, 7}, true},
		"without names":     {answer(0, 17, "", "Samsung SSD", ""), descriptor{"", "Samsung SSD", "", false, 17}, true},
		"controls":          {answer(1, 7, "a\x1b[2J", "b", ""), descriptor{"a[2J", "b", "", true, 7}, true},
		"text beyond it":    {far, descriptor{"", "b", "c", true, 7}, true},
		"text without end":  {endless, descriptor{"endl", "", "", true, 7}, true},
		"cut":               {answer(1, 7, "a", "b", "c")[:20], descriptor{}, false},
		"nothing":           {nil, descriptor{}, false},
		"size of something": {append(answer(1, 7, "", "x", ""), "rest"...), descriptor{"", "x", "", true, 7}, true},
	} {
		if got, ok := parseDescriptor(c.give); got != c.want || ok != c.ok {
			t.Errorf("%s: got %+v, %v; want %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func TestWindowsGeometryAndExtents(t *testing.T) {
	le := binary.LittleEndian
	g := make([]byte, 32)
	le.PutUint32(g[20:], 512)
	le.PutUint64(g[24:], 15931539456)
	if size, bytes, ok := parseGeometry(g); size != 15931539456 || bytes != 512 || !ok {
		t.Errorf("got %d, %d, %v", size, bytes, ok)
	}
	if _, _, ok := parseGeometry(g[:31]); ok {
		t.Error("got a geometry of half an answer")
	}
	e := make([]byte, 8+48)
	le.PutUint32(e, 2)
	le.PutUint32(e[8:], 1)
	le.PutUint32(e[32:], 3)
	if disks, ok := parseExtents(e); !ok || !reflect.DeepEqual(disks, []uint32{1, 3}) {
		t.Errorf("got %v, %v; want disks 1 and 3", disks, ok)
	}
	for _, bad := range [][]byte{nil, e[:40], {0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}} {
		if disks, ok := parseExtents(bad); ok {
			t.Errorf("got %v of % x", disks, bad)
		}
	}
}

func TestWindowsDrives(t *testing.T) {
	volumes := []winVolume{
		{name: "c", mounts: []string{`C:\`}, disks: []uint32{0}, system: true},
		{name: "d", mounts: []string{`D:\`}, disks: []uint32{1, 2}, paging: true},
		{name: "e", mounts: []string{`E:\`, `C:\mnt\`}, disks: []uint32{3}},
		{name: "none"},
	}
	card := descriptor{"Generic", "SD Reader", "1", true, 7}
	for name, c := range map[string]struct {
		number uint32
		d      descriptor
		want   string // of Refusal
		list   string
	}{
		"system": {0, descriptor{"", "SSD", "", false, 17}, "never written",
			`\\.\PhysicalDrive0: 16.0 GB SSD, mounted on C:`},
		"paging": {2, card, "swapped to", `\\.\PhysicalDrive2: 16.0 GB Generic SD Reader serial 1, mounted on D:`},
		"card": {3, card, "",
			`\\.\PhysicalDrive3: 16.0 GB Generic SD Reader serial 1, mounted on E:, C:\\mnt`},
		"USB disk": {4, descriptor{"WD", "Elements", "", false, 7}, "not removable",
			`\\.\PhysicalDrive4: 16.0 GB WD Elements`},
		"slot": {5, descriptor{"", "SD Card", "", false, busSD}, "", `\\.\PhysicalDrive5: 16.0 GB SD Card`},
		"module": {6, descriptor{"RPi-MSD-", "0001", "", false, 7}, "",
			`\\.\PhysicalDrive6: 16.0 GB Compute Module (its eMMC, by rpiboot) RPi-MSD- 0001`},
		"gadget": {6, descriptor{"Linux", "File-Stor Gadget", "", false, 7}, "",
			`\\.\PhysicalDrive6: 16.0 GB Compute Module (its eMMC, by rpiboot) Linux File-Stor Gadget`},
	} {
		d := winDrive(c.number, c.d, 16e9, 512, false, volumes)
		if got := d.String(); got != c.list {
			t.Errorf("%s: got %s, want %s", name, got, c.list)
		}
		if err := d.Refusal(512<<20, false); (err == nil) != (c.want == "") || err != nil && !contains(err, c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestWindowsNames(t *testing.T) {
	for path, want := range map[string]string{
		`\\.\PhysicalDrive2`: "PhysicalDrive2 ", `PHYSICALDRIVE12`: "PhysicalDrive12 ",
		`//./physicaldrive2`: "PhysicalDrive2 ",
		"E:":                 " E:", `e:\`: " E:", `\\.\E:`: " E:", "card.img": " ", `C:\card.img`: " ",
		"PhysicalDrive":   " ",
		"1:":              " ",
		"PhysicalDrive2x": " ", "": " ",
	} {
		disk, letter := winName(path)
		if got := fmt.Sprint(disk, " ", letter); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestUnknownSystemDiskIsAnyThatStays(t *testing.T) {
	for name, c := range map[string]struct{ give, want []Drive }{
		"known":   {[]Drive{{System: true}, {}, {Removable: true}}, []Drive{{System: true}, {}, {Removable: true}}},
		"unknown": {[]Drive{{}, {Removable: true}, {}}, []Drive{{System: true}, {Removable: true}, {System: true}}},
	} {
		if got := guard(c.give); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// FuzzWindowsAnswers reads what a driver answers.
func FuzzWindowsAnswers(f *testing.F) {
	f.Add(answer(1, 7, "Generic", "STORAGE DEVICE", "1"))
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := parseDescriptor(b); ok && len(d.vendor)+len(d.product)+len(d.serial) > 3*len(b) {
			t.Errorf("got %+v of %d bytes", d, len(b))
		}
		if disks, ok := parseExtents(b); ok && 24*len(disks) > len(b) {
			t.Errorf("got %d disks of %d bytes", len(disks), len(b))
		}
		if size, _, ok := parseGeometry(b); ok && size < 0 {
			t.Errorf("got a size of %d", size)
		}
	})
}
