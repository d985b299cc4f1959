package console

import "go.bug.st/serial/enumerator"

// denied says what to do about a port that Windows does not open: it is in use.
const denied = "access denied: another program has it open; close PuTTY and the like"

func adapters() (list []adapter, err error) {
	ports, err := enumerator.GetDetailedPortsList()
	for _, p := range ports {
		if p.IsUSB {
			list = append(list, adapter{p.Name, p.Product})
		}
	}
	return list, err
}
