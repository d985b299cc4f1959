package flash

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Bus types of STORAGE_BUS_TYPE in ntddstor.h.
const (
	busSD  = 12
	busMMC = 13
)

// descriptor is what STORAGE_DEVICE_DESCRIPTOR says of a disk.
type descriptor struct {
	vendor, product, serial string
	removable               bool
	bus                     uint32
}

// parseDescriptor reads a STORAGE_DEVICE_DESCRIPTOR:
//
//	0 version, 4 size, 8 type, 9 modifier, 10 removable, 11 command queueing,
//	12, 16, 20, 24 offsets of vendor, product, revision, serial number; 28 bus type
func parseDescriptor(b []byte) (d descriptor, ok bool) {
	const head = 36
	if len(b) < head {
		return d, false
	}
	le := binary.LittleEndian
	b = b[:min(uint64(len(b)), uint64(max(le.Uint32(b[4:]), head)))]
	text := func(field int) string {
		at := uint64(le.Uint32(b[field:]))
		if at == 0 || at >= uint64(len(b)) {
			return ""
		}
		s, _, _ := strings.Cut(string(b[at:]), "\x00")
		return plain(s)
	}
	return descriptor{text(12), text(16), text(24), b[10] != 0, le.Uint32(b[28:])}, true
}

// parseGeometry reads a DISK_GEOMETRY_EX:
//
//	0 cylinders, 8 media type, 12 tracks, 16 sectors per track, 20 bytes per sector, 24 size
func parseGeometry(b []byte) (size int64, sectorBytes int, ok bool) {
	if len(b) < 32 {
		return 0, 0, false
	}
	le := binary.LittleEndian
	n := le.Uint64(b[24:])
	return int64(n), int(le.Uint32(b[20:])), n < 1<<60
}

// parseExtents reads the disks of a VOLUME_DISK_EXTENTS:
//
//	0 count, 8 entries of 24 bytes: 0 number of the disk, 8 start, 16 length
func parseExtents(b []byte) (disks []uint32, ok bool) {
	if len(b) < 8 {
		return nil, false
	}
	le := binary.LittleEndian
	n := le.Uint32(b)
	if n > 1024 || len(b) < 8+24*int(n) {
		return nil, false
	}
	for i := range int(n) {
		disks = append(disks, le.Uint32(b[8+24*i:]))
	}
	return disks, true
}

// winVolume is a volume of Windows.
type winVolume struct {
	name   string   // \\?\Volume{…}\
	mounts []string // E:\
	disks  []uint32
	system bool // Windows, its loader or a page file is on it
	paging bool
}

const physical = "PhysicalDrive"

// winDrive describes a disk of Windows.
func winDrive(number uint32, d descriptor, size int64, sectorBytes int, readOnly bool, volumes []winVolume) Drive {
	name := physical + strconv.FormatUint(uint64(number), 10)
	drive := Drive{Name: name, Path: `\\.\` + name, Number: name, Size: size, Sector: sectorBytes, Serial: d.serial,
		ReadOnly: readOnly, Frees: true, Removable: d.removable || d.bus == busSD || d.bus == busMMC && d.removable}
	drive.describe(d.vendor, d.product)
	for _, v := range volumes {
		for _, disk := range v.disks {
			if disk != number {
				continue
			}
			drive.System = drive.System || v.system
			drive.Swap = drive.Swap || v.paging
			for _, m := range v.mounts {
				drive.Mounts = append(drive.Mounts, strings.TrimSuffix(m, `\`))
			}
		}
	}
	return drive
}

// winName is what a path of Windows may name: the number of a disk, or a letter.
func winName(path string) (disk string, letter string) {
	bare := path
	for _, prefix := range []string{`\\.\`, `\\?\`, `//./`} {
		if rest, ok := strings.CutPrefix(bare, prefix); ok {
			bare = rest
			break
		}
	}
	switch {
	case len(bare) > len(physical) && strings.EqualFold(bare[:len(physical)], physical) &&
		strings.Trim(bare[len(physical):], "0123456789") == "":
		return physical + bare[len(physical):], ""
	case (len(bare) == 2 || len(bare) == 3 && (bare[2] == '\\' || bare[2] == '/')) && bare[1] == ':' &&
		strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ", rune(bare[0]&^0x20)):
		return "", string(bare[0]&^0x20) + ":"
	}
	return "", ""
}

// guard makes the computer's own of all that cannot be taken out, where Windows did not say
// which disk it runs from.
func guard(list []Drive) []Drive {
	known := false
	for _, d := range list {
		known = known || d.System
	}
	for i := range list {
		list[i].System = list[i].System || !known && !list[i].Removable
	}
	return list
}
