package console

import "go.bug.st/serial"

// denied says what to do without the right to open a port.
const denied = "permission denied: look who owns it, with ls -l"

func adapters() ([]adapter, error) {
	ports, err := serial.GetPortsList()
	return callOut(ports), err
}
