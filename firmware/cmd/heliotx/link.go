package main

import (
	"fmt"
	"log/slog"
	"time"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/tx/pipeline"
)

// The carousel's guaranteed share of the line: a slow line needs more for a
// late receiver to be complete in useful time.
const (
	datagramShare = 0.10
	uartShare     = 0.25
)

// longWord is the size of a long codeword with its marker, in bytes.
const longWord = 259

// datagramAhead is how far ahead of its clock the pacer fills a network device.
const datagramAhead = 500 * time.Microsecond

// openLink opens the medium, transmitting only, and puts a link on it.
func openLink(whole config.TX, session *wire.Session, totals pipeline.Keeper, log *slog.Logger) (*pipeline.Link, error) {
	cfg := whole.Link
	c := pipeline.Config{
		State: int(whole.Memory.State), ChannelState: int(whole.Memory.ChannelState),
		Rate: cfg.Rate / 8, Overhead: cfg.Overhead, CarouselShare: datagramShare,
		Ahead: datagramAhead, Session: session, Totals: totals, Log: log,
	}
	descriptor, handed, err := handover.Descriptor(handover.Link)
	if err != nil {
		return nil, err
	}
	switch cfg.Medium {
	case config.UDP:
		t, err := openUDP(cfg, descriptor, handed)
		if err != nil {
			return nil, err
		}
		c.Profile = wire.DatagramProfile(t.MaxFrame(), t.Overhead())
		return pipeline.New(c, t), nil
	case config.Ethernet:
		t, err := openEthernet(cfg, descriptor, handed, log)
		if err != nil {
			return nil, err
		}
		c.Profile = wire.DatagramProfile(ethernet.MaxFrame, ethernet.Overhead)
		return pipeline.New(c, t), nil
	case config.UART:
		t, err := openUART(cfg, descriptor, handed, log)
		if err != nil {
			return nil, err
		}
		c.Profile = wire.UARTProfile(cfg.Baud)
		c.Rate = float64(cfg.Baud) / 10 // 8N1: ten bits a byte
		c.Ahead = time.Duration(float64(time.Second) * longWord / c.Rate)
		c.CarouselShare = uartShare
		c.Encode = codeword.Encode
		return pipeline.New(c, t), nil
	}
	return nil, fmt.Errorf("heliotx: medium %q is not known", cfg.Medium)
}

// The media, opened here or by whoever handed them down.

func openUDP(cfg config.Link, descriptor int, handed bool) (*udp.Transmitter, error) {
	if handed {
		return udp.TransmitterFrom(descriptor, cfg.Address)
	}
	return udp.Dial(cfg.Address)
}

func openEthernet(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*ethernet.Transmitter, error) {
	if handed {
		return ethernet.TransmitterFrom(descriptor, cfg.Interface, log)
	}
	return ethernet.OpenTransmitter(cfg.Interface, log)
}

func openUART(cfg config.Link, descriptor int, handed bool, log *slog.Logger) (*uart.Transmitter, error) {
	if handed {
		return uart.TransmitterFrom(descriptor)
	}
	t, warnings, err := uart.OpenTransmitter(cfg.Device, cfg.Baud)
	for _, w := range warnings {
		log.Warn("link: " + w)
	}
	return t, err
}
