package boards

func rpi4b() Board {
	return Board{
		Name: "rpi4b", Model: "Raspberry Pi 4 Model B", DeviceTree: "bcm2711-rpi-4-b.dtb",
		// The first gives the header the UART that Bluetooth has, the last opens
		// GPIO 4 and 5 for the console.
		Overlays: []string{"disable-bt", "disable-wifi", "uart3"},
		Link: UART{
			Device: "/dev/ttyAMA0", Baud: 921600,
			Pins: Pins{Group: "uart0_pins", TXD: 14, RXD: 15, Function: 4},
		},
		Console:   UART{Device: "/dev/ttyAMA3", Baud: 115200},
		Heartbeat: Line{Chip: "/dev/gpiochip0", Number: 17},
		LinkLED:   Line{Chip: "/dev/gpiochip0", Number: 27},
		// On USB, as the kernel's configuration has them built in. It lacks
		// ax88179 and every Ethernet chip on SPI.
		Network:     Network{Outside: "eth0", Link: "eth1", Drivers: []string{"r8152", "lan78xx", "asix", "smsc95xx", "cdc_ether", "cdc_ncm"}},
		Watchdog:    "/dev/watchdog0",
		HasFirmware: true,
		Firmware:    []string{"start4.elf", "fixup4.dat"}, // its boot loader is on the board
		Config:      []string{"dtparam=watchdog=on"},
	}
}
