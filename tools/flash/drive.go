package flash

import (
	"fmt"
	"strings"
)

// Drive is a whole disk, as its computer describes it.
type Drive struct {
	Name      string // what the engineer types: sdb, disk4, PhysicalDrive2
	Path      string // where it is opened: /dev/sdb, /dev/disk4, \\.\PhysicalDrive2
	Number    string // the system's: 8:16 on Linux
	Size      int64  // bytes; 0 without a card
	Sector    int    // bytes; 0: not known
	Model     string
	Serial    string
	Sequence  string // another one after every change of the medium, where the system counts
	Removable bool
	ReadOnly  bool
	System    bool     // the computer runs from it
	Mounts    []string // where it, or what stands on it, is mounted
	Frees     bool     // opening the drive unmounts what is mounted
	Swap      bool     // it, or what stands on it, is swapped to
	Holders   []string // what stands on it: dm-0, md0
}

// Machine is a computer with drives. Local returns this one.
type Machine interface {
	// Drives lists the whole disks.
	Drives() ([]Drive, error)
	// At returns the drive at a path; ok is false for the path of a plain file that is
	// there or can be made. What is neither is an error.
	At(path string) (d Drive, ok bool, err error)
	// Open opens a drive for writing, for this program alone unless shared is set.
	Open(d Drive, shared bool) (Disk, error)
}

// Disk is a drive, or a plain file, that is open for writing.
type Disk interface {
	medium
	Close() error
	// Release gives the drive back and says what may be done with it.
	Release() string
}

// String names a drive as on the list.
func (d Drive) String() string {
	s := strings.TrimSpace(fmt.Sprintf("%s: %s %s %s", d.Path, Size(d.Size), d.Model, serial(d.Serial)))
	if len(d.Mounts) > 0 {
		s += ", mounted on " + printable(d.Mounts)
	}
	return s
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

// plain keeps what is printable in a text that a device reported, on one line.
func plain(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s))
}

// module is what a computer names a Compute Module that rpiboot has made a USB disk of.
const module = "Compute Module (its eMMC, by rpiboot)"

// describe names a Compute Module for what it is, which its kernel may not call removable.
// The old firmware of rpiboot calls the disk RPi-MSD- 0001, its mass-storage gadget
// mmcblk0 or, without a name of its own, File-Stor Gadget.
func (d *Drive) describe(vendor, product string) {
	d.Model = strings.Join(strings.Fields(plain(vendor)+" "+plain(product)), " ")
	for _, name := range []string{"RPi-MSD", "mmcblk0", "File-Stor Gadget"} {
		if strings.Contains(d.Model, name) {
			d.Model, d.Removable = module+" "+d.Model, true
			return
		}
	}
}
