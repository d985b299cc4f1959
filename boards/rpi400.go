package boards

// rpi400 is a Pi 4 in a keyboard, with the same header at its back.
func rpi400() Board {
	b := rpi4b()
	b.Name, b.Model, b.DeviceTree = "rpi400", "Raspberry Pi 400", "bcm2711-rpi-400.dtb"
	b.OwnLED = "PWR" // it has no other
	return b
}
