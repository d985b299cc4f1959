package flash

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"howett.net/plist"
)

// diskList is what "diskutil list -plist" prints of the whole disks and what is on them.
type diskList struct {
	Disks []diskEntry `plist:"AllDisksAndPartitions"`
}

type diskEntry struct {
	Name       string      `plist:"DeviceIdentifier"`
	Mount      string      `plist:"MountPoint"`
	Partitions []diskEntry `plist:"Partitions"`
	Volumes    []diskEntry `plist:"APFSVolumes"`
	Snapshots  []diskEntry `plist:"MountedSnapshots"`
	Snapshot   string      `plist:"SnapshotMountPoint"`
	Stores     []diskEntry `plist:"APFSPhysicalStores"`
}

// diskInfo is what "diskutil info -plist" prints of one disk.
type diskInfo struct {
	Media     string `plist:"MediaName"`
	Registry  string `plist:"IORegistryEntryName"`
	Size      int64  `plist:"TotalSize"`
	OldSize   int64  `plist:"Size"`
	Block     int    `plist:"DeviceBlockSize"`
	Removable bool   `plist:"RemovableMedia"`
	Bus       string `plist:"BusProtocol"`
	Kind      string `plist:"VirtualOrPhysical"`
	Writable  *bool  `plist:"WritableMedia"`
	Tree      string `plist:"DeviceTreePath"`
}

// mostPlist is more than a computer with many disks has.
const mostPlist = 4 << 20

// diskutilDrives lists the disks of macOS. run has diskutil print a property list. A disk
// that the computer runs from is known by the mount of /, on it or on a container in it.
func diskutilDrives(run func(args ...string) ([]byte, error)) ([]Drive, error) {
	var list diskList
	if err := diskutil(run, &list, "list", "-plist"); err != nil {
		return nil, err
	}
	var drives []Drive
	system := list.system()
	if len(system) == 0 {
		return nil, errors.New("flash: diskutil does not say which disk this computer runs from")
	}
	for _, e := range list.Disks {
		var info diskInfo
		if err := diskutil(run, &info, "info", "-plist", e.Name); err != nil {
			return nil, err
		}
		d := Drive{Name: e.Name, Path: "/dev/" + e.Name, Number: info.Tree + " " + e.Name,
			Size:   max(info.Size, info.OldSize),
			Sector: info.Block, Frees: true, System: slices.Contains(system, e.Name), Mounts: e.mounts(nil),
			ReadOnly:  info.Writable != nil && !*info.Writable,
			Removable: info.Removable || info.Bus == "Secure Digital"}
		d.describe("", strings.TrimSuffix(firstOf(info.Media, info.Registry), " Media"))
		if info.Kind == "Virtual" || len(e.Stores) > 0 { // an image or a container: what it stands on is listed itself
			d.Removable = false
		}
		for _, c := range list.Disks {
			if c.on(e.Name) {
				d.Mounts = c.mounts(d.Mounts)
			}
		}
		drives = append(drives, d)
	}
	return drives, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func diskutil(run func(args ...string) ([]byte, error), into any, args ...string) error {
	b, err := run(args...)
	if err == nil && len(b) > mostPlist {
		err = fmt.Errorf("more than %d bytes", mostPlist)
	}
	if err == nil {
		_, err = plist.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("flash: diskutil %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// system returns the disks that / is on: a container, and the disks it stands on.
func (l diskList) system() (names []string) {
	for _, e := range l.Disks {
		if !slices.Contains(e.mounts(nil), "/") {
			continue
		}
		names = append(names, e.Name)
		for _, s := range e.Stores {
			names = append(names, wholeDisk(s.Name))
		}
	}
	return names
}

// on says whether a container stands on a disk.
func (e diskEntry) on(disk string) bool {
	return slices.ContainsFunc(e.Stores, func(s diskEntry) bool { return wholeDisk(s.Name) == disk })
}

func (e diskEntry) mounts(list []string) []string {
	for _, m := range []string{e.Mount, e.Snapshot} {
		if m != "" && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	for _, below := range slices.Concat(e.Partitions, e.Volumes, e.Snapshots) {
		list = below.mounts(list)
	}
	return list
}

// wholeDisk is disk4 of disk4s1, rdisk4 or disk4.
func wholeDisk(name string) string {
	name = strings.TrimPrefix(name, "r")
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "disk"), "s")
	return "disk" + number
}

// diskutilAt finds the drive that a path of macOS names: /dev/disk4 or /dev/rdisk4.
func diskutilAt(path string, drives func() ([]Drive, error)) (Drive, bool, error) {
	name, device := strings.CutPrefix(path, "/dev/")
	if !device {
		_, err := os.Stat(path)
		if bare := strings.TrimPrefix(path, "r"); err == nil || !strings.HasPrefix(bare, "disk") ||
			wholeDisk(bare) != bare ||
			!errors.Is(err, fs.ErrNotExist) || strings.Trim(bare, "disk0123456789") != "" {
			is, err := ordinary(path)
			if err == nil && !is {
				err = fmt.Errorf("flash: %s is not a drive: \"heliograph flash\" lists the drives", path)
			}
			return Drive{}, false, err
		}
		name = path
	}
	list, err := drives()
	if err != nil {
		return Drive{}, false, err
	}
	name = strings.TrimPrefix(name, "r")
	for _, d := range list {
		switch {
		case d.Name == name:
			return d, true, nil
		case d.Name == wholeDisk(name) && strings.HasPrefix(name, "disk"):
			return Drive{}, false, fmt.Errorf("flash: %s is a part of a drive: name the whole one, %s", path, d.Path)
		}
	}
	return Drive{}, false, fmt.Errorf("flash: %s is not a drive: \"heliograph flash\" lists the drives", path)
}
