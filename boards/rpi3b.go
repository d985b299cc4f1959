package boards

// rpi3b is for the emulator alone, which resets at once when this board's
// watchdog is armed, so none is named.
func rpi3b() Board {
	return Board{
		Name: "rpi3b", Model: "Raspberry Pi 3 Model B", DeviceTree: "bcm2710-rpi-3-b.dtb",
		Overlays:  []string{"disable-bt"},
		Link:      UART{Device: "/dev/ttyS0", Baud: 115200},
		Console:   UART{Device: "/dev/ttyAMA0", Baud: 115200},
		Heartbeat: Line{Chip: "/dev/gpiochip0", Number: 17},
		LinkLED:   Line{Chip: "/dev/gpiochip0", Number: 27},
		Network:   Network{Outside: "usb0", Buses: []Bus{{Host: "usb"}}},
		// The emulated USB network adapter stays silent without these.
		KernelArgs:  []string{"dwc_otg.lpm_enable=0", "dwc_otg.fiq_fsm_enable=0"},
		HasFirmware: true,
		Firmware:    []string{"bootcode.bin", "start.elf", "fixup.dat"},
	}
}
