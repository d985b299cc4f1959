package main

import (
	"fmt"
	"log/slog"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/neighbour"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/tx/node"
)

// openMedium opens the medium, transmitting only, or uses the one that PID 1 has
// opened.
func openMedium(cfg config.Link, log *slog.Logger) (node.Medium, error) {
	descriptor, handed, err := handover.Descriptor(handover.Link)
	if err != nil {
		return node.Medium{}, err
	}
	switch cfg.Medium {
	case config.UDP:
		t, err := openUDP(cfg, descriptor, handed)
		if err != nil {
			return node.Medium{}, err
		}
		m := node.Medium{Transmitter: t, MaxFrame: t.MaxFrame(), Overhead: t.Overhead(), Received: t}
		if cfg.PeerMAC != "" && !handed { // a board's PID 1 does it
			m.Transmitter, err = neighbour.Guard(t, cfg.Address, cfg.PeerMAC, log)
		}
		return m, err
	case config.Ethernet:
		t, err := openEthernet(cfg, descriptor, handed, log)
		return node.Medium{Transmitter: t, MaxFrame: ethernet.MaxFrame, Overhead: ethernet.Overhead}, err
	case config.UART:
		t, err := openUART(cfg, descriptor, handed, log)
		return node.Medium{Transmitter: t}, err
	}
	return node.Medium{}, fmt.Errorf("heliotx: medium %q is not known", cfg.Medium)
}

func openUDP(cfg config.Link, descriptor int, handed bool) (*udp.Transmitter, error) {
	if handed {
		return udp.TransmitterFrom(descriptor, cfg.Address)
	}
	if cfg.Interface != "" {
		return nil, config.ErrInterfaceOfBoard
	}
	return udp.Dial(cfg.Address)
}

func openEthernet(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*ethernet.Transmitter, error) {
	if handed {
		return ethernet.TransmitterFrom(descriptor, cfg.Interface, log)
	}
	return ethernet.OpenTransmitter(ethernet.Port{Interface: cfg.Interface, Speed: cfg.Speed}, log)
}

func openUART(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*uart.Transmitter, error) {
	if handed {
		return uart.TransmitterFrom(descriptor)
	}
	t, warnings, err := uart.OpenTransmitter(cfg.Device, cfg.Baud)
	for _, w := range warnings {
		log.Warn("serial line setting not accepted", "component", "link", "error", w)
	}
	return t, err
}
