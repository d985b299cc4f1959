//go:build !linux

package netdev

import "errors"

// Find is for a board or a Linux host only.
func Find(string) (Device, error) {
	return Device{}, errors.New("network interfaces are found on Linux only")
}
