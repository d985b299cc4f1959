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

// Bounds on what another kernel may report.
const (
	sysfsSector = 512 // of /sys/block/*/size, for every drive
	mostText    = 4096
	mostTable   = 1 << 20
)

// sysfsDrives lists the disks below root, which holds sys and proc as Linux does.
func sysfsDrives(root fs.FS) ([]Drive, error) {
	entries, err := fs.ReadDir(root, "sys/block")
	if err != nil {
		return nil, fmt.Errorf("flash: listing drives: %w", err)
	}
	used, err := readUse(root)
	if err != nil {
		return nil, fmt.Errorf("flash: reading what is in use: %w", err)
	}
	var list []Drive
	for _, e := range entries {
		list = append(list, readDrive(root, e.Name(), used))
	}
	return guardMounted(list), nil
}

// guardMounted makes the computer's own of all that cannot be taken out or is mounted, where no
// drive is seen to carry /: it is on ZFS, or an overlay. Files that are drives are left out.
func guardMounted(list []Drive) []Drive {
	known := slices.ContainsFunc(list, func(d Drive) bool { return d.System })
	for i, d := range list {
		file := strings.HasPrefix(d.Name, "loop")
		list[i].System = d.System || !known && (len(d.Mounts) > 0 || d.Swap || !d.Removable && !file)
	}
	return list
}

func readDrive(root fs.FS, name string, used use) Drive {
	at := path.Join("sys/block", name)
	d := Drive{
		Name:      name,
		Path:      "/dev/" + name,
		Number:    text(root, at, "dev"),
		Serial:    cmp.Or(text(root, at, "device/serial"), serialAbove(root, at)),
		Sequence:  text(root, at, "diskseq"),
		ReadOnly:  text(root, at, "ro") == "1",
		Removable: text(root, at, "removable") == "1" || text(root, at, "device/type") == "SD",
	}
	d.describe(text(root, at, "device/vendor"), cmp.Or(text(root, at, "device/model"), text(root, at, "device/name")))
	d.Sector, _ = strconv.Atoi(text(root, at, "queue/logical_block_size"))
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
	d.System = slices.Contains(d.Mounts, "/")
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
	return plain(string(b))
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

// driveOf returns the drive that has a device number; a partition has one too.
func driveOf(root fs.FS, number string) (Drive, error) {
	list, err := sysfsDrives(root)
	if err != nil {
		return Drive{}, err
	}
	for _, d := range list {
		if d.Number == number {
			return d, nil
		}
	}
	for _, d := range list {
		for _, name := range family(root, "sys/block/"+d.Name, map[string]bool{}) {
			if text(root, "sys/class/block", name, "dev") == number && strings.HasPrefix(name, d.Name) {
				return Drive{}, fmt.Errorf("flash: /dev/%s is a part of a drive: name the whole one, %s", name,
					d.Path)
			}
		}
	}
	return Drive{}, fmt.Errorf("flash: the system does not list device %s: take the drive out and put it in again",
		number)
}
