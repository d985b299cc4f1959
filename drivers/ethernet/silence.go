package ethernet

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"

	"heliograph/drivers/isolate"
	"heliograph/drivers/netdev"

	"golang.org/x/sys/unix"
)

// device is an interface that was made silent and brought up.
type device struct {
	name    string // the kernel's
	index   int
	address net.HardwareAddr
}

// takeUp checks an interface, makes it silent, fixes its speed and brings it up. What
// it cannot make sure of is an error, but PAUSE and EEE, which not every driver lets one
// set.
func takeUp(p Port, log *slog.Logger) (device, error) {
	found, err := check(p.Interface)
	if err != nil {
		return device{}, err
	}
	name := found.Name
	// only to name the interface to the kernel
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return device{}, fmt.Errorf("ethernet: %s: opening a control socket: %w", name, err)
	}
	defer func() { _ = unix.Close(fd) }()
	card := kernel{fd, name}
	speed := fixedSpeed{mbits: p.Speed, card: card}
	for _, step := range []struct {
		doing string
		do    func() error
	}{
		{"taking it down", func() error { return setFlags(fd, name, 0, unix.IFF_UP) }},
		{"turning IPv6 off", func() error { return setOption("ipv6", name, "disable_ipv6") }},
		{"dropping IPv4 that arrives", func() error { return setOption("ipv4", name, "rp_filter") }},
		{"setting its MTU to 1500", func() error { return raiseMTU(fd, name, found.MTU) }},
		{"turning ARP and multicast off", func() error {
			return setFlags(fd, name, unix.IFF_NOARP, unix.IFF_MULTICAST|unix.IFF_ALLMULTI)
		}},
		{"turning PAUSE off", func() error {
			if err := pauseOff(card); err != nil {
				log.Warn("PAUSE frames stay on; turn them off with ethtool -A", "error", err, "interface", name)
			}
			return nil
		}},
		{"fixing its speed", func() error { return speed.fix() }},
		{"turning EEE off", func() error { _ = eeeOff(card); return nil }}, // some cannot before they are up
		{"bringing it up", func() error { return setFlags(fd, name, unix.IFF_UP, 0) }},
		{"fixing its speed", func() error { return speed.confirm() }},
		{"turning EEE off", func() error {
			if err := eeeOff(card); err != nil {
				log.Warn("EEE stays on; turn it off with ethtool --set-eee", "error", err, "interface", name)
			}
			return nil
		}},
	} {
		if err := step.do(); err != nil {
			hint := ""
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
				hint = " (run as root, or with CAP_NET_ADMIN and CAP_NET_RAW)"
			}
			return device{}, fmt.Errorf("ethernet: %s: %s: %w%s", name, step.doing, err, hint)
		}
	}
	log.Info("interface taken up", "interface", name, "address", found.HardwareAddr.String(), "speed", speed.result())
	return device{name: name, index: found.Index, address: found.HardwareAddr}, nil
}

// check refuses an interface that is none or has another use.
func check(configured string) (*net.Interface, error) {
	d, err := netdev.Find(configured)
	if err != nil {
		return nil, fmt.Errorf("ethernet: %w", err)
	}
	name := d.Name
	i, err := net.InterfaceByIndex(d.Index)
	if err != nil {
		return nil, fmt.Errorf("ethernet: %s: %w", name, err)
	}
	if err := isolate.Unused(d); err != nil {
		return nil, fmt.Errorf("ethernet: %w", err)
	}
	user, err := usedBy(i.Index)
	if err != nil {
		return nil, fmt.Errorf("ethernet: %s: reading the interfaces: %w", name, err)
	}
	if user != "" {
		return nil, fmt.Errorf("ethernet: %s is part of %s, which would send on it; choose another interface or "+
			"take them apart", name, user)
	}
	return i, nil
}

// setFlags changes flags and makes sure that they are as wanted.
func setFlags(fd int, name string, set, unset uint16) error {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16()&^unset | set)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	if got := request.Uint16(); got&set != set || got&unset != 0 {
		return fmt.Errorf("flags are %#x, want %#x set and %#x not", got, set, unset)
	}
	return nil
}

// running says whether the interface is up and has a carrier.
func running(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagRunning != 0
}

func raiseMTU(fd int, name string, have int) error {
	if have >= mtu {
		return nil
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint32(mtu)
	return unix.IoctlIfreq(fd, unix.SIOCSIFMTU, request)
}

// setOption sets an interface's sysctl to 1. A kernel without the protocol has
// none, and needs none.
func setOption(protocol, name, option string) error {
	path := "/proc/sys/net/" + protocol + "/conf/" + name + "/" + option
	if b, err := os.ReadFile(path); errors.Is(err, fs.ErrNotExist) {
		return absent(protocol, err)
	} else if err == nil && strings.TrimSpace(string(b)) == "1" {
		return nil // also where /proc/sys may only be read
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		return err
	}
	if b, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(b)) != "1" {
		return fmt.Errorf("%s is %q (%v), want 1", path, b, err)
	}
	return nil
}

// absent passes a missing option's error on, unless the whole protocol is missing.
func absent(protocol string, missing error) error {
	if _, err := os.Stat("/proc/sys/net/" + protocol); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat("/proc/sys/net"); err == nil {
			return nil
		}
	}
	return missing
}
