package boards

func virt() Board {
	return Board{
		Name: "virt", Model: "linux,dummy-virt",
		Link:      UART{Device: "/dev/ttyAMA0", Baud: 115200, Fastest: 1_500_000},
		Console:   UART{Device: "/dev/ttyS0", Baud: 115200}, // a pci-serial port
		Heartbeat: Line{Chip: "9030000.pl061", Number: 0},   // by its label, as on a Pi 5
		LinkLED:   Line{Chip: "9030000.pl061", Number: 1},   // 3 is the power button
		Network: Network{Outside: "eth0", Link: "eth1", Buses: []Bus{{Drivers: []string{"virtio_net"}}},
			Emulator: "10.0.2.2"}, // QEMU's user network has it so
		Watchdog: "/dev/watchdog0",
	}
}
