package boards

// zero2w has one UART on its header, which is the link's, and one USB port, which
// needs a hub: for the Ethernet adapter and for the console's serial adapter (see
// rpi3bplus). Its port is a host when the cable says so: an OTG cable.
func zero2w() Board {
	b := rpi3bplus()
	b.Name, b.Model, b.DeviceTree = "zero2w", "Raspberry Pi Zero 2 W", "bcm2710-rpi-zero-2-w.dtb"
	return b
}
