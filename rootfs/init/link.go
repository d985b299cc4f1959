package main

import (
	"fmt"
	"os"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/config"
)

// openLink opens the link in the role's one direction, once: a role that is
// started again takes the same link on. The role itself could not open it.
func (r *role) openLink(l config.Link) error {
	if r.link != nil && r.linkOf == l {
		return nil
	}
	if r.link != nil {
		_ = r.link.Close()
		r.link = nil
	}
	open := r.receiver
	if r.name == "tx" {
		open = r.transmitter
	}
	f, warnings, err := open(l)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		r.log.Warn("link: " + w)
	}
	r.link, r.linkOf = f, l
	return nil
}

func (r *role) transmitter(l config.Link) (f *os.File, warnings []string, err error) {
	switch l.Medium {
	case config.UDP:
		f, err = udp.DialFile(l.Address)
	case config.Ethernet:
		f, err = ethernet.OpenTransmitterFile(l.Interface, r.log)
	case config.UART:
		return uart.OpenTransmitterFile(l.Device, l.Baud)
	default:
		err = fmt.Errorf("link: medium %q is not known", l.Medium)
	}
	return f, nil, err
}

func (r *role) receiver(l config.Link) (f *os.File, warnings []string, err error) {
	switch l.Medium {
	case config.UDP:
		f, err = udp.ListenFile(l.Address)
	case config.Ethernet:
		f, err = ethernet.OpenReceiverFile(l.Interface, r.log)
	case config.UART:
		return uart.OpenReceiverFile(l.Device, l.Baud)
	default:
		err = fmt.Errorf("link: medium %q is not known", l.Medium)
	}
	return f, nil, err
}
