package network

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"heliograph/drivers/isolate"
)

// Isolate takes the interface of a UDP link out of the reach of all programs, gives it its
// address and calls open there: a socket that is opened stays there. It has no IPv6, for
// nothing uses that, and it would send unasked.
func Isolate(name string, address netip.Prefix, open func() error) error {
	return isolate.Interface(name, func(device string) error {
		option := "/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6"
		if err := os.WriteFile(option, []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("network: %s: turning IPv6 off: %v", device, err)
		}
		if err := (Config{Interface: device, Address: address}).Up(); err != nil {
			return err
		}
		return open()
	})
}
