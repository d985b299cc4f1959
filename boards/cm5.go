package boards

// cm5 is a Pi 5 on a carrier board. The module's debug connector is not fitted, so
// the console is UART2, on the pins that a CM4 has its console on.
//
// The firmware chooses the device tree: for modules with and without eMMC (cm5l),
// for the IO boards of CM5 and of CM4. The latter has USB at the BCM2712 alone, which
// the overlay dwc2 switches on. Loaders from before April 2025 ask for the tree of
// the Pi 5 before they start anything (os_check), so it is on the card.
func cm5() Board {
	b := rpi5()
	b.Name, b.Model, b.DeviceTree = "cm5", "Raspberry Pi Compute Module 5", "bcm2712-rpi-cm5-cm5io.dtb"
	b.Variants = []string{"bcm2712-rpi-cm5l-cm5io.dtb", "bcm2712-rpi-cm5-cm4io.dtb", "bcm2712-rpi-cm5l-cm4io.dtb",
		"bcm2712-rpi-5-b.dtb"}
	b.Overlays = append(b.Overlays, "uart2-pi5", "dwc2,dr_mode=host")
	b.Console = UART{Device: "/dev/ttyAMA2", Baud: 115200, Fastest: 3_125_000}
	b.ConsoleAt = "pin 7 TXD, pin 29 RXD, pin 9 ground"
	b.Network.Buses = append(b.Network.Buses, Bus{Host: "usb", Drivers: usbAdapters()},
		Bus{Host: "pciex1", Drivers: pcieCards()})
	b.Config = append(b.Config, "dtparam=pciex1=on")
	return b
}
