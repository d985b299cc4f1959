package boards

// headerClock lets the PL011 of BCM283x and BCM2711 run at a sixteenth of it: 4 M baud.
const headerClock = "init_uart_clock=64000000"

func rpi4b() Board {
	return Board{
		Name: "rpi4b", Model: "Raspberry Pi 4 Model B", DeviceTree: "bcm2711-rpi-4-b.dtb",
		// The first gives the header the UART that Bluetooth has, the third opens
		// GPIO 4 and 5 for the console, the last asks for a DS3231 on GPIO 2 and 3:
		// the kernel has a driver for it, and goes on where there is none.
		Overlays:  []string{"disable-bt", "disable-wifi", "uart3", "i2c-rtc,ds3231"},
		Link:      UART{Device: "/dev/ttyAMA0", Baud: 921600, Fastest: 4_000_000, Pins: headerPins()},
		Console:   UART{Device: "/dev/ttyAMA3", Baud: 115200, Fastest: 4_000_000},
		ConsoleAt: "pin 7 TXD, pin 29 RXD, pin 9 ground",
		Heartbeat: Line{Chip: "/dev/gpiochip0", Number: 17},
		LinkLED:   Line{Chip: "/dev/gpiochip0", Number: 27},
		OwnLED:    "ACT",
		Network: Network{Outside: "eth0", Link: "eth1", Buses: []Bus{
			{Host: "genet"},
			{Host: "pcie0", Drivers: usbAdapters()}, // the USB host is a chip on PCIe
		}},
		Watchdog:    "/dev/watchdog0",
		HasFirmware: true,
		Firmware:    []string{"start4.elf", "fixup4.dat"}, // its boot loader is on the board
		Config:      []string{headerClock, "dtparam=watchdog=on"},
	}
}

// headerPins are the header's UART on BCM283x and BCM2711: alternate function 0.
func headerPins() Pins {
	return Pins{Group: "uart0_pins", TXD: 14, RXD: 15, Function: Function{BCM2835: 4}}
}

// usbAdapters are the drivers of USB Ethernet adapters that the kernel has built in.
// It lacks ax88179 and every Ethernet chip on SPI.
func usbAdapters() []string {
	return []string{"r8152", "lan78xx", "asix", "smsc95xx", "cdc_ether", "cdc_ncm"}
}

// pcieCards are the drivers of PCIe Ethernet cards that the kernel has built in. It
// lacks igb, igc and r8169.
func pcieCards() []string { return []string{"e1000", "e1000e"} }
