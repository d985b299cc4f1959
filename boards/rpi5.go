package boards

// rpi5 has its peripherals in a chip of its own, RP1: other pin functions, other
// UARTs, and a UART clock of 50 MHz. Its overlays are those with -pi5 in the name.
//
// The console is the debug connector between the HDMI sockets (UART10 of the
// BCM2712), so the header has the link alone. The header's UART is switched on by
// the image's own overlay: without that it carries nothing in either direction.
//
// The firmware is on the board. It takes the first device tree, and adds the overlay
// bcm2712d0 where the chip is of stepping D0; loaders from before that overlay take
// the second tree there. So config.txt names none, and both are on the card. Its check
// for an operating system (os_check) asks for the first below os_prefix.
//
// The clock that runs without power is the board's own, with a battery at its
// connector. The kernel has no driver for the header's I2C.
func rpi5() Board {
	return Board{
		Name: "rpi5", Model: "Raspberry Pi 5", DeviceTree: "bcm2712-rpi-5-b.dtb",
		Variants: []string{"bcm2712d0-rpi-5-b.dtb"}, Loaded: []string{"bcm2712d0"},
		Overlays: []string{"disable-bt-pi5", "disable-wifi-pi5"},
		Link: UART{Device: "/dev/ttyAMA0", Baud: 921600, Fastest: 3_125_000,
			Pins: Pins{TXD: 14, RXD: 15, Function: Function{RP1: "uart0"}}},
		Console:   UART{Device: "/dev/ttyAMA10", Baud: 115200, Fastest: 576_000},
		ConsoleAt: "debug connector between the HDMI sockets",
		Heartbeat: Line{Chip: "pinctrl-rp1", Number: 17}, // the chip's number differs between kernels
		LinkLED:   Line{Chip: "pinctrl-rp1", Number: 27},
		OwnLED:    "ACT",
		Network: Network{Outside: "eth0", Link: "eth1", Buses: []Bus{
			{Host: "rp1_eth"},
			{Host: "rp1_usb0", Drivers: usbAdapters()},
			{Host: "rp1_usb1", Drivers: usbAdapters()},
		}},
		Watchdog:    "/dev/watchdog0",
		HasFirmware: true,
		Config:      []string{"dtparam=watchdog=on"},
	}
}
