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
	"heliograph/firmware/rx/pipeline"
	"heliograph/firmware/rx/receive"
)

// openLink opens the medium, receiving only, and puts a link on it.
func openLink(cfg config.RX, key wire.PairKey, anchor receive.Anchor, log *slog.Logger) (*pipeline.Link, error) {
	c := pipeline.Config{Key: key, Anchor: anchor, StaleAfter: cfg.StaleAfter, Log: log}
	switch l := cfg.Link; l.Medium {
	case config.UDP:
		r, err := udp.Listen(l.Address)
		if err != nil {
			return nil, err
		}
		if got := r.Buffer(); got < udp.WantedBuffer {
			log.Warn("link: the kernel gives a small receive buffer, which a busy machine overflows; raise net.core.rmem_max or run with CAP_NET_ADMIN",
				"bytes", got, "wanted", udp.WantedBuffer)
		}
		return pipeline.New(c, r), nil
	case config.Ethernet:
		r, err := ethernet.OpenReceiver(l.Interface, log)
		if err != nil {
			return nil, err
		}
		return pipeline.New(c, r), nil
	case config.UART:
		r, warnings, err := uart.OpenReceiver(l.Device, l.Baud)
		if err != nil {
			return nil, err
		}
		for _, w := range warnings {
			log.Warn("link: " + w)
		}
		c.Synchronizer = codeword.New(wire.CheckCRC)
		return pipeline.New(c, r), nil
	}
	return nil, fmt.Errorf("heliorx: medium %q is not known", cfg.Link.Medium)
}
