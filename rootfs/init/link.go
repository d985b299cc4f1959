package main

import (
	"fmt"
	"log/slog"
	"os"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/config"
	"heliograph/rootfs/sandbox"
)

// drivers opens links with the drivers of this board.
type drivers struct{ log *slog.Logger }

// OpenLink implements supervisor.LinkOpener.
func (d drivers) OpenLink(l config.Link, direction sandbox.Direction) (f *os.File, warnings []string, err error) {
	if direction == sandbox.Transmit {
		return d.openTransmitter(l)
	}
	return d.openReceiver(l)
}

func (d drivers) openTransmitter(l config.Link) (f *os.File, warnings []string, err error) {
	switch l.Medium {
	case config.UDP:
		f, err = udp.DialFile(l.Address)
	case config.Ethernet:
		f, err = ethernet.OpenTransmitterFile(port(l), d.log)
	case config.UART:
		return uart.OpenTransmitterFile(l.Device, l.Baud)
	default:
		err = fmt.Errorf("link: medium %q is not known", l.Medium)
	}
	return f, nil, err
}

func (d drivers) openReceiver(l config.Link) (f *os.File, warnings []string, err error) {
	switch l.Medium {
	case config.UDP:
		f, err = udp.ListenFile(l.Address)
	case config.Ethernet:
		f, err = ethernet.OpenReceiverFile(port(l), d.log)
	case config.UART:
		return uart.OpenReceiverFile(l.Device, l.Baud)
	default:
		err = fmt.Errorf("link: medium %q is not known", l.Medium)
	}
	return f, nil, err
}

func port(l config.Link) ethernet.Port { return ethernet.Port{Interface: l.Interface, Speed: l.Speed} }
