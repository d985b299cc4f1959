package main

import (
	"fmt"
	"log/slog"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/rx/pipeline"
)

// openMedium opens the medium, receiving only, or uses the one that PID 1 has opened.
func openMedium(cfg config.Link, log *slog.Logger) (pipeline.Receiver, error) {
	descriptor, handed, err := handover.Descriptor(handover.Link)
	if err != nil {
		return nil, err
	}
	switch cfg.Medium {
	case config.UDP:
		r, err := openUDP(cfg, descriptor, handed)
		if err != nil {
			return nil, err
		}
		if got := r.Buffer(); got < udp.WantedBuffer {
			log.Warn("receive buffer is small; raise net.core.rmem_max or run with CAP_NET_ADMIN",
				"component", "link", "bytes", got, "wanted", udp.WantedBuffer)
		}
		return r, nil
	case config.Ethernet:
		return orError(openEthernet(cfg, descriptor, handed, log))
	case config.UART:
		return orError(openUART(cfg, descriptor, handed, log))
	}
	return nil, fmt.Errorf("heliorx: medium %q is not known", cfg.Medium)
}

// orError returns no receiver at an error: a nil driver is not a nil interface.
func orError[R pipeline.Receiver](r R, err error) (pipeline.Receiver, error) {
	if err != nil {
		return nil, err
	}
	return r, nil
}

func openUDP(cfg config.Link, descriptor int, handed bool) (*udp.Receiver, error) {
	if handed {
		return udp.ReceiverFrom(descriptor, cfg.Address)
	}
	if cfg.Interface != "" {
		return nil, config.ErrInterfaceOfBoard
	}
	return udp.Listen(cfg.Address)
}

func openEthernet(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*ethernet.Receiver, error) {
	if handed {
		return ethernet.ReceiverFrom(descriptor, cfg.Interface, log)
	}
	return ethernet.OpenReceiver(ethernet.Port{Interface: cfg.Interface, Speed: cfg.Speed}, log)
}

func openUART(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*uart.Receiver, error) {
	if handed {
		return uart.ReceiverFrom(descriptor)
	}
	r, warnings, err := uart.OpenReceiver(cfg.Device, cfg.Baud)
	for _, w := range warnings {
		log.Warn("serial line setting not accepted", "component", "link", "error", w)
	}
	return r, err
}
