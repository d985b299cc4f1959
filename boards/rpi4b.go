package boards

func rpi4b() Board {
	return Board{
		Name: "rpi4b", Model: "Raspberry Pi 4 Model B", DeviceTree: "bcm2711-rpi-4-b.dtb",
		// The first gives the header the UART that Bluetooth has, the third opens
		// GPIO 4 and 5 for the console, the last asks for a DS3231 on GPIO 2 and 3:
		// the kernel has a driver for it, and goes on where there is none.
		Overlays: []string{"disable-bt", "disable-wifi", "uart3", "i2c-rtc,ds3231"},
		Link: UART{
			Device: "/dev/ttyAMA0", Baud: 921600, Fastest: 4_000_000,
			Pins: Pins{Group: "uart0_pins", TXD: 14, RXD: 15, Function: Function{BCM2835: 4}},
		},
		Console:   UART{Device: "/dev/ttyAMA3", Baud: 115200, Fastest: 4_000_000},
		Heartbeat: Line{Chip: "/dev/gpiochip0", Number: 17},
		LinkLED:   Line{Chip: "/dev/gpiochip0", Number: 27},
		// On USB, as the kernel's configuration has them built in. It lacks
		// ax88179 and every Ethernet chip on SPI.
		Network: Network{Outside: "eth0", Link: "eth1",
			Buses: []Bus{{Host: "pcie0", Drivers: usbAdapters()}}}, // the USB host is a chip on PCIe
		Watchdog:    "/dev/watchdog0",
		HasFirmware: true,
		Firmware:    []string{"start4.elf", "fixup4.dat"}, // its boot loader is on the board
		// The fastest line rate is a sixteenth of the clock: 4 M baud.
		Config: []string{"init_uart_clock=64000000", "dtparam=watchdog=on"},
	}
}

// usbAdapters are the drivers of USB Ethernet adapters that the kernel has built in.
func usbAdapters() []string {
	return []string{"r8152", "lan78xx", "asix", "smsc95xx", "cdc_ether", "cdc_ncm"}
}
