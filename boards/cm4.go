package boards

func cm4() Board {
	b := rpi4b()
	b.Name, b.Model, b.DeviceTree = "cm4", "Raspberry Pi Compute Module 4 Rev", "bcm2711-rpi-cm4.dtb"
	return b
}
