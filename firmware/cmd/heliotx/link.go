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
func openLink(cfg config.Link, session *wire.Session, log *slog.Logger) (*pipeline.Link, error) {
	c := pipeline.Config{
		Rate: cfg.Rate / 8, Overhead: cfg.Overhead, CarouselShare: datagramShare,
		Ahead: datagramAhead, Session: session, Log: log,
	}
	switch cfg.Medium {
	case config.UDP:
		t, err := udp.Dial(cfg.Address)
		if err != nil {
			return nil, err
		}
		c.Profile = wire.DatagramProfile(t.MaxFrame(), t.Overhead())
		return pipeline.New(c, t), nil
	case config.Ethernet:
		t, err := ethernet.OpenTransmitter(cfg.Interface, log)
		if err != nil {
			return nil, err
		}
		c.Profile = wire.DatagramProfile(ethernet.MaxFrame, ethernet.Overhead)
		return pipeline.New(c, t), nil
	case config.UART:
		t, warnings, err := uart.OpenTransmitter(cfg.Device, cfg.Baud)
		if err != nil {
			return nil, err
		}
		for _, w := range warnings {
			log.Warn("link: " + w)
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
