package netdev

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sysfs is where Linux shows its devices.
const sysfs = "/sys"

// Find returns the interface that s names, in the network namespace of the calling
// thread. It is to be asked again whenever the interface may have gone and come back.
func Find(s string) (Device, error) {
	n, err := Parse(s)
	if err != nil {
		return Device{}, err
	}
	all, err := List()
	if err != nil {
		return Device{}, err
	}
	return choose(n, all)
}

// List returns all Ethernet interfaces, in the kernel's order.
func List() ([]Device, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []Device
	for _, i := range interfaces {
		if len(i.HardwareAddr) != macSize || i.Flags&net.FlagLoopback != 0 {
			continue
		}
		d := Device{Name: i.Name, Index: i.Index, MAC: i.HardwareAddr}
		d.Path, d.Driver = describe(sysfs, i.Name, i.Index)
		all = append(all, d)
	}
	return all, nil
}

// describe returns the path and the driver of an interface. Sysfs shows the namespace in
// which it was mounted, so one with another index is another interface of that name.
func describe(root, name string, index int) (path, driver string) {
	entry := filepath.Join(root, "class/net", name)
	if b, err := os.ReadFile(filepath.Join(entry, "ifindex")); err != nil ||
		strings.TrimSpace(string(b)) != strconv.Itoa(index) {
		return "", ""
	}
	if link, err := os.Readlink(filepath.Join(entry, "device/driver")); err == nil {
		driver = filepath.Base(link)
	}
	device, err := filepath.EvalSymlinks(filepath.Join(entry, "device"))
	if err != nil {
		return "", driver
	}
	return idPath(root, device), driver
}

// idPath walks from a device to the root, as udev's path_id does.
func idPath(root, device string) string {
	var parts []string
	for end := filepath.Join(root, "devices"); strings.HasPrefix(device, end+"/"); {
		name, bus := filepath.Base(device), subsystem(device)
		switch bus {
		case "usb":
			// 1-1.2:1.0 is interface 1.0 of what is in port 1.2 of bus 1, whose number is chance.
			if _, port, ok := strings.Cut(name, "-"); ok {
				parts = append(parts, "usb-0:"+port)
			}
		case "pci", "platform":
			parts = append(parts, bus+"-"+name)
		}
		device = above(device, bus)
	}
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, "-")
}

// above returns the next device that is not on the same bus.
func above(device, bus string) string {
	for {
		device = filepath.Dir(device)
		if next := subsystem(device); next != bus || bus == "" {
			return device
		}
	}
}

// subsystem is the bus of a device, "" for a folder between devices.
func subsystem(device string) string {
	link, err := os.Readlink(filepath.Join(device, "subsystem"))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}
