package flash

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Drive is a whole disk, as sysfs and the tables of mounts and swap describe it.
type Drive struct {
	Name      string // sdb
	Number    string // 8:16
	Size      int64  // bytes; 0 without a card
	Model     string
	Serial    string
	Sequence  string // the kernel's count, another one after every change of the medium
	Removable bool
	ReadOnly  bool
	Mounts    []string // where it, or what stands on it, is mounted
	Swap      bool     // it, or what stands on it, is swapped to
	Holders   []string // what stands on it: dm-0, md0
}

// Path is where the drive is opened.
func (d Drive) Path() string { return "/dev/" + d.Name }

// String names a drive as on the list.
func (d Drive) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", d.Path(), Size(d.Size), d.Model, serial(d.Serial)))
}

func serial(s string) string {
	if s == "" {
		return ""
	}
	return "serial " + s
}

// Size prints bytes as the labels of cards do.
func Size(n int64) string {
	if n < 1e9 {
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// Bounds on what another kernel may report.
const (
	sysfsSector = 512 // of /sys/block/*/size, for every drive
	mostText    = 4096
	mostTable   = 1 << 20
)

// Drives lists the disks below root, which holds sys and proc as a machine does.
func Drives(root fs.FS) ([]Drive, error) {
	entries, err := fs.ReadDir(root, "sys/block")
	if err != nil {
		return nil, fmt.Errorf("flash: listing drives: %v", err)
	}
	used, err := readUse(root)
	if err != nil {
		return nil, fmt.Errorf("flash: reading what is in use: %v", err)
	}
	var list []Drive
	for _, e := range entries {
		list = append(list, readDrive(root, e.Name(), used))
	}
	return list, nil
}

func readDrive(root fs.FS, name string, used use) Drive {
	at := path.Join("sys/block", name)
	d := Drive{
		Name:   name,
		Number: text(root, at, "dev"),
		Model: strings.TrimSpace(text(root, at, "device/vendor") + " " + cmp.Or(text(root, at, "device/model"),
			text(root, at, "device/name"))),
		Serial:    cmp.Or(text(root, at, "device/serial"), serialAbove(root, at)),
		Sequence:  text(root, at, "diskseq"),
		ReadOnly:  text(root, at, "ro") == "1",
		Removable: text(root, at, "removable") == "1" || text(root, at, "device/type") == "SD",
	}
	if sectors, err := strconv.ParseInt(text(root, at, "size"), 10, 64); err == nil && sectors > 0 && sectors < 1<<50 {
		d.Size = sectors * sysfsSector
	}
	names := family(root, at, map[string]bool{name: true})
	for _, n := range names {
		if strings.HasPrefix(n, "dm-") || strings.HasPrefix(n, "md") {
			d.Holders = append(d.Holders, n)
		}
	}
	d.Mounts, d.Swap = used.of(root, names)
	return d
}

// text reads one attribute, printable and on one line.
func text(root fs.FS, elements ...string) string {
	f, err := root.Open(path.Join(elements...))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostText))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(b)))
}

// serialAbove finds the serial number that a USB reader has further up: a disk
// is a link to where it is plugged in.
func serialAbove(root fs.FS, at string) string {
	target, err := fs.ReadLink(root, at)
	if err != nil || !strings.Contains(target, "/usb") {
		return ""
	}
	for dir := path.Join(path.Dir(at), target); strings.Contains(dir, "/usb"); dir = path.Dir(dir) {
		if s := text(root, dir, "serial"); s != "" {
			return s
		}
	}
	return ""
}

// family is a disk, its partitions, and all that stands on any of them.
func family(root fs.FS, at string, seen map[string]bool) []string {
	names := []string{path.Base(at)}
	below, _ := fs.ReadDir(root, at)
	for _, e := range below {
		part := path.Join(at, e.Name())
		if text(root, part, "partition") != "" {
			names = append(names, family(root, part, seen)...)
		}
	}
	holders, _ := fs.ReadDir(root, path.Join(at, "holders"))
	for _, e := range holders {
		if !seen[e.Name()] { // two partitions of one array
			seen[e.Name()] = true
			names = append(names, family(root, path.Join("sys/block", e.Name()), seen)...)
		}
	}
	return names
}

// use is what the kernel has mounted and swaps to, by device number and by name.
type use struct {
	mounts map[string][]string
	swaps  map[string]bool
}

func readUse(root fs.FS) (use, error) {
	u := use{mounts: map[string][]string{}, swaps: map[string]bool{}}
	err := lines(root, "proc/self/mountinfo", func(f []string) {
		dash := slices.Index(f, "-")
		if len(f) < 6 || dash < 0 || dash+2 >= len(f) {
			return
		}
		for _, by := range []string{f[2], f[dash+2]} { // a btrfs has a number of its own
			u.mounts[by] = append(u.mounts[by], unescape(f[4]))
		}
	})
	if err != nil {
		return u, err
	}
	return u, lines(root, "proc/swaps", func(f []string) { u.swaps[unescape(f[0])] = true })
}

// of returns where the devices are mounted and whether one is swapped to.
func (u use) of(root fs.FS, names []string) (mounts []string, swap bool) {
	for _, n := range names {
		keys := []string{text(root, "sys/class/block", n, "dev"), "/dev/" + n}
		if mapped := text(root, "sys/block", n, "dm/name"); mapped != "" {
			keys = append(keys, "/dev/mapper/"+mapped)
		}
		for _, k := range keys {
			mounts = append(mounts, u.mounts[k]...)
			swap = swap || u.swaps[k]
		}
	}
	slices.Sort(mounts)
	return slices.Compact(mounts), swap
}

func lines(root fs.FS, name string, each func(fields []string)) error {
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, mostTable+1))
	if err != nil {
		return err
	}
	if len(b) > mostTable { // half a table would hide a mounted drive
		return fmt.Errorf("%s is larger than %d bytes", name, mostTable)
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			each(fields)
		}
	}
	return nil
}

// unescape undoes what /proc does to blanks in names: three octal digits.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
