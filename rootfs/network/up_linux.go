package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Up brings the loopback up, then the interface with its address and route.
func (c Config) Up() error {
	fd, err := socket()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name, err := c.device()
	if err != nil {
		return err
	}
	mask := make([]byte, 4)
	binary.BigEndian.PutUint32(mask, ^uint32(0)<<(32-c.Address.Bits()))
	for _, step := range []struct {
		what    string
		request uint
		value   []byte
	}{{"address", unix.SIOCSIFADDR, c.Address.Addr().AsSlice()}, {"netmask", unix.SIOCSIFNETMASK, mask}} {
		r, err := unix.NewIfreq(name)
		if err != nil {
			return fmt.Errorf("network: %s: %v", name, err)
		}
		if err := r.SetInet4Addr(step.value); err != nil {
			return fmt.Errorf("network: %s: %s: %v", name, step.what, err)
		}
		if err := unix.IoctlIfreq(fd, step.request, r); err != nil {
			return fmt.Errorf("network: %s: %s: %v", name, step.what, err)
		}
	}
	if err := raise(fd, name); err != nil {
		return err
	}
	if !c.Gateway.IsValid() {
		return nil
	}
	return route(fd, c.Gateway)
}

// socket is what interfaces are set through.
func socket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("network: %v", err)
	}
	return fd, nil
}

// WaitUp tries Up after each pause until it succeeds. It returns false when ctx ended first.
func (c Config) WaitUp(ctx context.Context, pause time.Duration) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		if c.Up() == nil {
			return true
		}
	}
}

// Down takes the address away and leaves the interface up, for a lease that is over.
func (c Config) Down() error {
	fd, err := socket()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name, err := c.device()
	if err != nil {
		return err
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		err = r.SetInet4Addr(make([]byte, 4))
	}
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCSIFADDR, r)
	}
	if err != nil {
		return fmt.Errorf("network: taking the address off %s: %v", name, err)
	}
	return nil
}

// Loopback brings lo up.
func Loopback() error { return up("lo") }

func up(name string) error {
	fd, err := socket()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return raise(fd, name)
}

func raise(fd int, name string) error {
	r, err := unix.NewIfreq(name)
	if err != nil {
		return fmt.Errorf("network: %s: %v", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, r); err != nil {
		return fmt.Errorf("network: %s: %v", name, err)
	}
	r.SetUint16(r.Uint16() | unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("network: bringing %s up: %v", name, err)
	}
	return nil
}

// rtentry is struct rtentry of linux/route.h on 64-bit machines.
type rtentry struct {
	_                     uint64
	dst, gateway, genmask unix.RawSockaddrInet4
	flags                 uint16
	_                     [30]byte
	device                uint64
	_                     [3]uint64
}

func route(fd int, gateway netip.Addr) error {
	e := rtentry{flags: unix.RTF_UP | unix.RTF_GATEWAY}
	e.dst.Family, e.gateway.Family, e.genmask.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
	e.gateway.Addr = gateway.As4()
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCADDRT,
		uintptr(unsafe.Pointer(&e))); errno != 0 {
		return fmt.Errorf("network: route over %s: %v", gateway, errno)
	}
	return nil
}
