package boards

func virt() Board {
	return Board{
		Name: "virt", Model: "linux,dummy-virt",
		Link:     UART{Device: "/dev/ttyAMA0", Baud: 115200},
		Console:  UART{Device: "/dev/ttyS0", Baud: 115200}, // a pci-serial port
		Watchdog: "/dev/watchdog0",
	}
}
