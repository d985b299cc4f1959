package main

import (
	"fmt"
	"log/slog"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/rx/mirror"
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/receive"
)

// openLink opens the medium, receiving only, and puts a link on it.
func openLink(cfg config.RX, key wire.PairKey, anchor receive.Anchor, log *slog.Logger) (*pipeline.Link, error) {
	c := pipeline.Config{Key: key, Anchor: anchor, StaleAfter: cfg.StaleAfter, Log: log,
		Budget: &mirror.Budget{Channel: int(cfg.Memory.ChannelState), Total: int(cfg.Memory.State)}}
	descriptor, handed, err := handover.Descriptor(handover.Link)
	if err != nil {
		return nil, err
	}
	switch l := cfg.Link; l.Medium {
	case config.UDP:
		r, err := openUDP(l, descriptor, handed)
		if err != nil {
			return nil, err
		}
		if got := r.Buffer(); got < udp.WantedBuffer {
			log.Warn("link: the kernel gives a small receive buffer, which a busy machine overflows; raise net.core.rmem_max or run with CAP_NET_ADMIN",
				"bytes", got, "wanted", udp.WantedBuffer)
		}
		return pipeline.New(c, r), nil
	case config.Ethernet:
		r, err := openEthernet(l, descriptor, handed, log)
		if err != nil {
			return nil, err
		}
		return pipeline.New(c, r), nil
	case config.UART:
		r, err := openUART(l, descriptor, handed, log)
		if err != nil {
			return nil, err
		}
		c.Synchronizer = codeword.New(wire.CheckCRC)
		return pipeline.New(c, r), nil
	}
	return nil, fmt.Errorf("heliorx: medium %q is not known", cfg.Link.Medium)
}

// The media, opened here or by whoever handed them down.

func openUDP(cfg config.Link, descriptor int, handed bool) (*udp.Receiver, error) {
	if handed {
		return udp.ReceiverFrom(descriptor, cfg.Address)
	}
	return udp.Listen(cfg.Address)
}

func openEthernet(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*ethernet.Receiver, error) {
	if handed {
		return ethernet.ReceiverFrom(descriptor, cfg.Interface, log)
	}
	return ethernet.OpenReceiver(cfg.Interface, log)
}

func openUART(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*uart.Receiver, error) {
	if handed {
		return uart.ReceiverFrom(descriptor)
	}
	r, warnings, err := uart.OpenReceiver(cfg.Device, cfg.Baud)
	for _, w := range warnings {
		log.Warn("link: " + w)
	}
	return r, err
}
