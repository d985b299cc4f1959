package boards

func rpi4b() Board {
	return Board{
		Name: "rpi4b", Model: "Raspberry Pi 4 Model B", DeviceTree: "bcm2711-rpi-4-b.dtb",
		Overlays:    []string{"disable-bt", "disable-wifi", "uart3"},
		Link:        UART{Device: "/dev/ttyAMA0", Baud: 921600},
		Console:     UART{Device: "/dev/ttyAMA3", Baud: 115200},
		Watchdog:    "/dev/watchdog0",
		HasFirmware: true,
		Firmware:    []string{"start4.elf", "fixup4.dat"}, // its boot loader is on the board
		Config:      []string{"dtparam=watchdog=on"},
	}
}
