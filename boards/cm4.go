package boards

// cm4 has two hosts for USB in its chip, and its device tree switches both off.
// otg_mode=1 has the firmware switch on the xHCI one, and no overlay can: it also
// connects that host to the port. The PCIe slot of an IO board takes the link's
// interface as well.
func cm4() Board {
	b := rpi4b()
	b.Name, b.Model, b.DeviceTree = "cm4", "Raspberry Pi Compute Module 4", "bcm2711-rpi-cm4.dtb"
	b.Network.Buses = []Bus{{Host: "genet"}, {Host: "xhci", Drivers: usbAdapters()},
		{Host: "pcie0", Drivers: pcieCards()}}
	b.Config = append(b.Config, "otg_mode=1")
	return b
}
