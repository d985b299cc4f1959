package flash

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// Local is this computer.
func Local() Machine { return mac{} }

// mac asks diskutil, which every macOS has.
type mac struct{}

func runDiskutil(args ...string) ([]byte, error) {
	c := exec.Command("/usr/sbin/diskutil", args...)
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	b, err := readAll(out)
	if err != nil || len(b) > mostPlist {
		_ = c.Process.Kill()
	}
	return b, errors.Join(err, c.Wait())
}

// Drives implements Machine.
func (mac) Drives() ([]Drive, error) { return diskutilDrives(runDiskutil) }

// At implements Machine.
func (m mac) At(path string) (Drive, bool, error) { return diskutilAt(path, m.Drives) }

// Open implements Machine. It unmounts what is on the drive, and writes the raw device,
// which has no cache. A drive that is in use cannot be unmounted, unless it is shared.
func (m mac) Open(d Drive, shared bool) (Disk, error) {
	now, ok, err := m.At(d.Path)
	if err != nil || !ok || !(target{d.Path, now}).same(target{d.Path, d}) {
		return nil, fmt.Errorf("flash: %s changed meanwhile: start again", d.Path)
	}
	args := []string{"unmountDisk", d.Path}
	if shared {
		args = []string{"unmountDisk", "force", d.Path}
	}
	if said, err := exec.Command("/usr/sbin/diskutil", args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("flash: something uses %s: close what has it open (%s)", d.Path, plain(string(said)))
	}
	f, err := os.OpenFile("/dev/r"+d.Name, os.O_RDWR|unix.O_EXLOCK|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("flash: no permission to write %s: run it with sudo, and allow the terminal removable "+
			"volumes under Privacy & Security", d.Path)
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EAGAIN):
		return nil, fmt.Errorf("flash: something uses %s: close what has it open", d.Path)
	case err != nil:
		return nil, fmt.Errorf("flash: %w", err)
	}
	return &rawDisk{sectors{raw: f, size: d.Size}, f, d}, nil
}

// rawDisk is an open drive.
type rawDisk struct {
	sectors
	file  *os.File
	drive Drive
}

// Sync has the drive empty its own cache. Readers that have none refuse to.
func (r *rawDisk) Sync() error {
	const synchronizeCache = 0x20006416 // DKIOCSYNCHRONIZECACHE of sys/disk.h: _IO('d', 22)
	err := unix.IoctlSetInt(int(r.file.Fd()), synchronizeCache, 0)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// Forget implements medium: a raw device has no cache.
func (r *rawDisk) Forget() error { return nil }

// Close implements Disk. After Release it has nothing to do.
func (r *rawDisk) Close() error {
	if err := r.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Release implements Disk.
func (r *rawDisk) Release() string {
	_ = r.file.Close() // diskutil wants it for itself
	if said, err := exec.Command("/usr/sbin/diskutil", "eject", r.drive.Path).CombinedOutput(); err != nil {
		return "all of it is on the card, but it was not ejected: " + strings.TrimSpace(plain(string(said)))
	}
	return ejected
}

// readAll keeps an answer of a program bounded.
func readAll(r io.Reader) ([]byte, error) { return io.ReadAll(io.LimitReader(r, mostPlist+1)) }
