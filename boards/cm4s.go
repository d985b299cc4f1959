package boards

// cm4s has neither Ethernet nor PCIe nor radio of its own: its carrier board has
// the network on the one USB port. With a second interface there the order of
// discovery is chance, so an Ethernet link has to be named by its path or its
// address.
func cm4s() Board {
	b := rpi4b()
	b.Name, b.Model, b.DeviceTree = "cm4s", "Raspberry Pi Compute Module 4S", "bcm2711-rpi-cm4s.dtb"
	b.Overlays = []string{"uart3", "i2c-rtc,ds3231", "dwc2,dr_mode=host"}
	b.Network = Network{Outside: "eth0", Buses: []Bus{{Host: "usb", Drivers: usbAdapters()}}}
	return b
}
