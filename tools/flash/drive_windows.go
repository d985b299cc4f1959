package flash

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// Control codes of winioctl.h and ntddstor.h. Those that ask need no right to read.
const (
	ioctlQueryProperty   = 0x2D1400 // IOCTL_STORAGE_QUERY_PROPERTY
	ioctlDeviceNumber    = 0x2D1080 // IOCTL_STORAGE_GET_DEVICE_NUMBER
	ioctlCheckVerify2    = 0x2D0800 // IOCTL_STORAGE_CHECK_VERIFY2
	ioctlMediaRemoval    = 0x2D4804 // IOCTL_STORAGE_MEDIA_REMOVAL
	ioctlEject           = 0x2D4808 // IOCTL_STORAGE_EJECT_MEDIA
	ioctlGeometry        = 0x0700A0 // IOCTL_DISK_GET_DRIVE_GEOMETRY_EX
	ioctlWritable        = 0x070024 // IOCTL_DISK_IS_WRITABLE
	ioctlLength          = 0x07405C // IOCTL_DISK_GET_LENGTH_INFO
	ioctlUpdate          = 0x070140 // IOCTL_DISK_UPDATE_PROPERTIES
	ioctlVolumeExtents   = 0x560000 // IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS
	fsctlLock            = 0x090018 // FSCTL_LOCK_VOLUME
	fsctlDismount        = 0x090020 // FSCTL_DISMOUNT_VOLUME
	storageDeviceNumber  = 4        // offset in STORAGE_DEVICE_NUMBER
	standardQueryAnswers = 4096     // bytes
)

// Our choices.
const (
	mostDisks   = 64
	lockTries   = 20
	lockPause   = 250 * time.Millisecond // while the shell and scanners let a volume go
	mostVolumes = 1024
)

// Local is this computer.
func Local() Machine { return windowsPC{} }

type windowsPC struct{}

// handle is an open disk or volume.
type handle windows.Handle

func openHandle(path string, access, flags uint32) (handle, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, err
	}
	h, err := windows.CreateFile(name, access, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE, nil,
		windows.OPEN_EXISTING, flags, 0)
	return handle(h), err
}

func (h handle) close() { _ = windows.CloseHandle(windows.Handle(h)) }

// control sends a control code and returns the answer.
func (h handle) control(code uint32, in []byte, room int) ([]byte, error) {
	out := make([]byte, room)
	var question, answer *byte
	if len(in) > 0 {
		question = &in[0]
	}
	if room > 0 {
		answer = &out[0]
	}
	var n uint32
	err := windows.DeviceIoControl(windows.Handle(h), code, question, uint32(len(in)), answer, uint32(room), &n, nil)
	return out[:min(int(n), room)], err
}

func at(offset int64) *windows.Overlapped {
	return &windows.Overlapped{Offset: uint32(offset), OffsetHigh: uint32(offset >> 32)}
}

func (h handle) ReadAt(b []byte, offset int64) (int, error) {
	var n uint32
	err := windows.ReadFile(windows.Handle(h), b, &n, at(offset))
	if err == nil && int(n) < len(b) || errors.Is(err, windows.ERROR_HANDLE_EOF) {
		err = io.EOF
	}
	return int(n), err
}

func (h handle) WriteAt(b []byte, offset int64) (int, error) {
	var n uint32
	err := windows.WriteFile(windows.Handle(h), b, &n, at(offset))
	return int(n), err
}

// Drives implements Machine.
func (windowsPC) Drives() ([]Drive, error) {
	volumes, err := winVolumes()
	if err != nil {
		return nil, fmt.Errorf("flash: listing volumes: %w", err)
	}
	var list []Drive
	for number := range uint32(mostDisks) {
		h, err := openHandle(`\\.\`+physical+strconv.Itoa(int(number)), 0, 0)
		if err != nil {
			continue
		}
		list = append(list, h.drive(number, volumes))
		h.close()
	}
	return guard(list), nil
}

// drive describes an open disk.
func (h handle) drive(number uint32, volumes []winVolume) Drive {
	var d descriptor
	if b, err := h.control(ioctlQueryProperty, make([]byte, 12), standardQueryAnswers); err == nil {
		d, _ = parseDescriptor(b) // the query of zeros is the standard one for the device
	}
	var size int64
	var sectorBytes int
	if b, err := h.control(ioctlGeometry, nil, 256); err == nil {
		size, sectorBytes, _ = parseGeometry(b)
	}
	_, err := h.control(ioctlWritable, nil, 0)
	drive := winDrive(number, d, size, sectorBytes, errors.Is(err, windows.ERROR_WRITE_PROTECT), volumes)
	if b, err := h.control(ioctlCheckVerify2, nil, 4); err == nil {
		drive.Sequence = fmt.Sprintf("%x", b)
	}
	return drive
}

// winVolumes lists the volumes with the disks they are on.
func winVolumes() (list []winVolume, err error) {
	buffer := make([]uint16, windows.MAX_PATH+1)
	find, err := windows.FindFirstVolume(&buffer[0], uint32(len(buffer)))
	if errors.Is(err, windows.ERROR_NO_MORE_FILES) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer windows.FindVolumeClose(find)
	own := ownPaths()
	for len(list) < mostVolumes {
		v := winVolume{name: windows.UTF16ToString(buffer)}
		v.mounts = mountsOf(v.name)
		h, err := openHandle(strings.TrimSuffix(v.name, `\`), 0, 0)
		if err == nil {
			v.disks = h.disks()
			h.close()
		}
		for _, m := range v.mounts {
			v.system = v.system || slices.Contains(own.system, strings.ToUpper(m))
			v.paging = v.paging || slices.Contains(own.paging, strings.ToUpper(m))
		}
		list = append(list, v)
		if err := windows.FindNextVolume(find, &buffer[0], uint32(len(buffer))); err != nil {
			break
		}
	}
	return append(list, own.loader...), nil
}

// disks returns the numbers of the disks that a volume is on.
func (h handle) disks() []uint32 {
	if b, err := h.control(ioctlVolumeExtents, nil, standardQueryAnswers); err == nil {
		if disks, ok := parseExtents(b); ok {
			return disks
		}
	}
	b, err := h.control(ioctlDeviceNumber, nil, 12)
	if err != nil || len(b) < 12 {
		return nil
	}
	return []uint32{uint32(b[storageDeviceNumber]) | uint32(b[5])<<8 | uint32(b[6])<<16 | uint32(b[7])<<24}
}

func mountsOf(volume string) []string {
	name, err := windows.UTF16PtrFromString(volume)
	if err != nil {
		return nil
	}
	buffer := make([]uint16, 4096)
	var n uint32
	if windows.GetVolumePathNamesForVolumeName(name, &buffer[0], uint32(len(buffer)), &n) != nil {
		return nil
	}
	var mounts []string
	for rest := buffer[:min(int(n), len(buffer))]; len(rest) > 0 && rest[0] != 0; {
		end := slices.Index(rest, 0)
		if end < 0 {
			break
		}
		mounts, rest = append(mounts, windows.UTF16ToString(rest[:end])), rest[end+1:]
	}
	return mounts
}

// paths are what Windows runs from: roots of volumes in upper case, and the volume of its
// loader, which has no letter.
type paths struct {
	system, paging []string
	loader         []winVolume
}

func ownPaths() (p paths) {
	if dir, err := windows.GetSystemWindowsDirectory(); err == nil && len(dir) > 2 {
		p.system = append(p.system, strings.ToUpper(dir[:2])+`\`)
	}
	const memory = `SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management`
	if k, err := registry.OpenKey(registry.LOCAL_MACHINE, memory, registry.QUERY_VALUE); err == nil {
		files, _, _ := k.GetStringsValue("ExistingPageFiles")
		for _, f := range files {
			if f = strings.TrimPrefix(f, `\??\`); len(f) > 2 {
				p.paging = append(p.paging, strings.ToUpper(f[:2])+`\`)
			}
		}
		k.Close()
	}
	if k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SYSTEM\Setup`, registry.QUERY_VALUE); err == nil {
		if device, _, err := k.GetStringValue("SystemPartition"); err == nil {
			if h, err := openHandle(`\\?\GLOBALROOT`+device, 0, 0); err == nil {
				p.loader = append(p.loader, winVolume{disks: h.disks(), system: true})
				h.close()
			}
		}
		k.Close()
	}
	return p
}

// At implements Machine.
func (m windowsPC) At(path string) (Drive, bool, error) {
	disk, letter := winName(path)
	if disk == "" && letter == "" {
		is, err := ordinary(path)
		if err == nil && !is {
			err = fmt.Errorf("flash: %s is not a drive: \"heliograph flash\" lists the drives", path)
		}
		return Drive{}, false, err
	}
	list, err := m.Drives()
	if err != nil {
		return Drive{}, false, err
	}
	for _, d := range list {
		if strings.EqualFold(d.Name, disk) || letter != "" && slices.Contains(d.Mounts, letter) {
			return d, true, nil
		}
	}
	return Drive{}, false, fmt.Errorf("flash: %s is not a drive: \"heliograph flash\" lists the drives", path)
}

// Open implements Machine. Every volume of the drive is locked and dismounted until it is
// closed. The drive is opened past the cache, so that what is read back is what it holds.
func (m windowsPC) Open(d Drive, shared bool) (Disk, error) {
	volumes, err := winVolumes()
	if err != nil {
		return nil, fmt.Errorf("flash: listing volumes: %w", err)
	}
	w := &winDisk{drive: d}
	number, err := strconv.ParseUint(strings.TrimPrefix(d.Name, physical), 10, 32)
	if err != nil {
		return nil, fmt.Errorf("flash: %s is not a drive", d.Path)
	}
	for _, v := range volumes {
		if v.name != "" && slices.Contains(v.disks, uint32(number)) {
			if err := w.lock(v, shared); err != nil {
				w.Close()
				return nil, err
			}
		}
	}
	h, err := openHandle(d.Path, windows.GENERIC_READ|windows.GENERIC_WRITE,
		windows.FILE_FLAG_NO_BUFFERING|windows.FILE_FLAG_WRITE_THROUGH)
	if err != nil {
		w.Close()
		return nil, denied(d.Path, err)
	}
	w.disk, w.sectors = h, sectors{raw: h, size: d.Size}
	length, err := h.control(ioctlLength, nil, 8)
	now := h.drive(uint32(number), volumes)
	now.System = d.System // what it runs from was refused before
	if err != nil || len(length) < 8 || *(*int64)(unsafe.Pointer(&length[0])) != d.Size ||
		!(target{d.Path, now}).same(target{d.Path, d}) {
		w.Close()
		return nil, fmt.Errorf("flash: %s changed meanwhile: start again", d.Path)
	}
	return w, nil
}

// denied says what the engineer can do about an error of opening.
func denied(path string, err error) error {
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) && !windows.GetCurrentProcessToken().IsElevated() {
		return fmt.Errorf("flash: no permission to write %s: run this in a terminal that was opened with \"Run as "+
			"administrator\"", path)
	}
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return fmt.Errorf("flash: something uses %s: close what has it open", path)
	}
	return fmt.Errorf("flash: %s: %w", path, err)
}

// winDisk is an open drive with its locked volumes.
type winDisk struct {
	sectors
	drive   Drive
	disk    handle
	volumes []handle
}

// lock makes a volume this program's own and takes its file system away.
func (w *winDisk) lock(v winVolume, shared bool) error {
	name := v.name
	if len(v.mounts) > 0 {
		name = v.mounts[0]
	}
	h, err := openHandle(strings.TrimSuffix(v.name, `\`), windows.GENERIC_READ|windows.GENERIC_WRITE, 0)
	if err != nil {
		return denied(w.drive.Path, err)
	}
	w.volumes = append(w.volumes, h)
	for try := 0; ; try++ {
		if _, err = h.control(fsctlLock, nil, 0); err == nil || try == lockTries {
			break
		}
		time.Sleep(lockPause)
	}
	if err != nil && !shared {
		return fmt.Errorf("flash: something uses %s of %s: close its windows and programs", name, w.drive.Path)
	}
	if _, err := h.control(fsctlDismount, nil, 0); err != nil {
		return fmt.Errorf("flash: taking %s of %s away: %w", name, w.drive.Path, err)
	}
	return nil
}

// Sync implements medium: writes go through, and the drive empties its own cache.
func (w *winDisk) Sync() error {
	err := windows.FlushFileBuffers(windows.Handle(w.disk))
	if errors.Is(err, windows.ERROR_INVALID_FUNCTION) { // a reader that has no cache
		return nil
	}
	return err
}

// Forget implements medium: there is no cache to forget.
func (w *winDisk) Forget() error { return nil }

// Close implements Disk.
func (w *winDisk) Close() error {
	if w.disk != 0 {
		w.disk.close()
	}
	for _, v := range w.volumes {
		v.close()
	}
	w.disk, w.volumes = 0, nil
	return nil
}

// Release implements Disk.
func (w *winDisk) Release() string {
	for _, h := range append(slices.Clone(w.volumes), w.disk) {
		_, _ = h.control(ioctlMediaRemoval, []byte{0}, 0) // PREVENT_MEDIA_REMOVAL: no
		if _, err := h.control(ioctlEject, nil, 0); err == nil {
			return ejected
		}
	}
	_, _ = w.disk.control(ioctlUpdate, nil, 0)
	return "all of it is on the card, which the reader cannot eject: take it out, and format nothing if Windows asks"
}
