package boards

// rpi3bplus has one UART on its header: both that the chip has come out on the same
// pins. That is the link's, whose pins an overlay can open in one direction. The
// console is a USB serial adapter (FTDI, CP210x, CH341 or CDC ACM; the kernel lacks
// pl2303); the kernel's own messages go to a screen.
//
// Ethernet is on USB too. With a second interface there the order of discovery is
// chance, so an Ethernet link has to be named by its path or its address.
func rpi3bplus() Board {
	b := rpi4b()
	b.Name, b.Model, b.DeviceTree = "rpi3bplus", "Raspberry Pi 3 Model B Plus", "bcm2710-rpi-3-b-plus.dtb"
	b.Overlays = []string{"disable-bt", "disable-wifi", "i2c-rtc,ds3231"}
	b.Console = UART{Device: "/dev/ttyUSB0", Baud: 115200}
	b.ConsoleAt = "USB serial adapter in a USB port"
	b.Network = Network{Outside: "eth0", Buses: []Bus{{Host: "usb", Drivers: usbAdapters()}}}
	b.Firmware = []string{"bootcode.bin", "start.elf", "fixup.dat"}
	return b
}
