package doctor

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errInUse is a port that another program has.
var errInUse = syscall.EADDRINUSE

// writable reports why this user cannot write to the disk of a folder, which may have to be made
// in that folder first. What it writes to find out is gone again.
func writable(folder string, made bool) error {
	if !made {
		inside, err := os.MkdirTemp(folder, ".doctor-*")
		if err != nil {
			return bare(err)
		}
		defer func() { _ = os.Remove(inside) }()
		folder = inside
	}
	f, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return bare(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(make([]byte, 4096)) // a disk that is full may still take a name
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	return bare(err)
}

// bare leaves the name of the file out.
func bare(err error) error {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err
	}
	return err
}

// accessible reports why this user cannot write, or read, a device.
func accessible(device string, write bool) error {
	mode := uint32(unix.R_OK)
	if write {
		mode = unix.W_OK
	}
	return unix.Access(device, mode)
}

// ownerOf returns the user of a file.
func ownerOf(path string) (uid uint32, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return s.Uid, true
}

// holder returns the process that has locked a state folder, as /proc/locks shows it:
// trying the lock would keep a role from starting.
func holder(folder string) (pid string, held bool) {
	var s unix.Stat_t
	if unix.Stat(folder, &s) != nil {
		return "", false
	}
	f, err := os.Open("/proc/locks")
	if err != nil {
		return "", false
	}
	defer f.Close()
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(s.Dev), unix.Minor(s.Dev), s.Ino)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
		if w := strings.Fields(lines.Text()); len(w) > 5 && w[1] == "FLOCK" && w[5] == inode {
			return w[4], true
		}
	}
	return "", false
}

// alive reports whether a process is there.
func alive(pid int) bool {
	err := unix.Kill(pid, 0)
	return err == nil || errors.Is(err, unix.EPERM)
}

// bindable reports why a port cannot be listened on. It binds and does not listen, so that
// no connection is accepted and lost.
func bindable(network, address string) error {
	kind := unix.SOCK_STREAM
	if network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	to, family, err := socketAddress(address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if network == "tcp" { // as Go's listeners
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	}
	return unix.Bind(fd, to)
}

func socketAddress(address string) (unix.Sockaddr, int, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, 0, err
	}
	if ip := a.IP.To4(); ip != nil || a.IP == nil {
		s := &unix.SockaddrInet4{Port: a.Port}
		copy(s.Addr[:], ip)
		return s, unix.AF_INET, nil
	}
	s := &unix.SockaddrInet6{Port: a.Port}
	copy(s.Addr[:], a.IP.To16())
	return s, unix.AF_INET6, nil
}
