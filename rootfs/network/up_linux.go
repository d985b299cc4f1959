package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"heliograph/drivers/netdev"
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

// Hold calls set as soon as the interface is there, and again when another of its name takes its place, as
// an adapter on USB that was pulled and put back. A set that fails is tried again after each pause. With
// done it was called already, for the interface of now. Hold returns when ctx ends.
func (c Config) Hold(ctx context.Context, pause time.Duration, done bool, set func() error) {
	last := 0
	if done {
		last = c.index()
	}
	for {
		if now := c.index(); now != 0 && now != last && set() == nil {
			last = now
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// index is the kernel's number of the interface, which no later one has; 0: it is not there.
func (c Config) index() int {
	d, err := netdev.Find(c.Interface)
	if err != nil {
		return 0
	}
	return d.Index
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

// mostRoutes bounds how many routes are removed: one more for each gateway that a lease ever had.
const mostRoutes = 100

// rtentry is struct rtentry of linux/route.h on 64-bit machines.
type rtentry struct {
	_                     uint64
	dst, gateway, genmask unix.RawSockaddrInet4
	flags                 uint16
	_                     [30]byte
	device                uint64
	_                     [3]uint64
}

// route has the gateway take all that is not local, in the place of any other; an invalid one: none does.
// No other interface of a board has a gateway.
func route(fd int, gateway netip.Addr) error {
	change := func(request uintptr, flags uint16, gateway netip.Addr) error {
		e := rtentry{flags: flags}
		e.dst.Family, e.gateway.Family, e.genmask.Family = unix.AF_INET, unix.AF_INET, unix.AF_INET
		if gateway.IsValid() {
			e.gateway.Addr = gateway.As4()
		}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&e)))
		if errno != 0 {
			return errno
		}
		return nil
	}
	for range mostRoutes {
		if change(unix.SIOCDELRT, unix.RTF_UP, netip.Addr{}) != nil {
			break // there is none left
		}
	}
	if !gateway.IsValid() {
		return nil
	}
	if err := change(unix.SIOCADDRT, unix.RTF_UP|unix.RTF_GATEWAY, gateway); err != nil {
		return fmt.Errorf("network: route over %s: %w", gateway, err)
	}
	return nil
}
