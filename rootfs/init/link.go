package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/isolate"
	"heliograph/drivers/neighbour"
	"heliograph/drivers/netdev"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp"
	"heliograph/firmware/config"
	"heliograph/rootfs/network"
	"heliograph/rootfs/sandbox"
)

// drivers opens links with the drivers of this board.
type drivers struct {
	log  *slog.Logger
	stop context.CancelFunc // ends what belongs to the link that was opened last
}

// OpenLink implements supervisor.LinkOpener. The one before must be closed.
func (d *drivers) OpenLink(l config.Link, direction sandbox.Direction) (f *os.File, warnings []string, err error) {
	if d.stop != nil {
		d.stop()
		d.stop = nil
	}
	if direction == sandbox.Transmit {
		return d.openTransmitter(l)
	}
	return d.openReceiver(l)
}

// Returned implements supervisor.LinkOpener. A link's interface is in a network namespace of
// its own. One of its name may come here beside it, which is another: the namespace must be
// empty as well.
func (d *drivers) Returned(l config.Link, open *os.File) bool {
	if l.Interface == "" || l.Medium == config.UART {
		return false
	}
	if _, err := netdev.Find(l.Interface); err != nil {
		return false
	}
	inUse, err := isolate.HasInterface(open)
	return err == nil && !inUse
}

func (d *drivers) openTransmitter(l config.Link) (f *os.File, warnings []string, err error) {
	switch l.Medium {
	case config.UDP:
		err = d.within(l, func() error { f, err = d.dial(l); return err })
	case config.Ethernet:
		f, err = ethernet.OpenTransmitterFile(port(l), d.log)
	case config.UART:
		return uart.OpenTransmitterFile(l.Device, l.Baud)
	default:
		err = fmt.Errorf("link: medium %q is not known", l.Medium)
	}
	return f, nil, err
}

func (d *drivers) openReceiver(l config.Link) (f *os.File, warnings []string, err error) {
	switch l.Medium {
	case config.UDP:
		err = d.within(l, func() error { f, err = udp.ListenFile(l.Address); return err })
	case config.Ethernet:
		f, err = ethernet.OpenReceiverFile(port(l), d.log)
	case config.UART:
		return uart.OpenReceiverFile(l.Device, l.Baud)
	default:
		err = fmt.Errorf("link: medium %q is not known", l.Medium)
	}
	return f, nil, err
}

// dial opens a link over UDP, and keeps its peer in the neighbour table, which the role
// in its sandbox cannot.
func (d *drivers) dial(l config.Link) (*os.File, error) {
	f, err := udp.DialFile(l.Address)
	if err != nil || l.PeerMAC == "" {
		return f, err
	}
	peer, err := neighbour.New(l.Address, l.PeerMAC, d.log)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	go peer.Keep(ctx)
	return f, nil
}

// within opens a link over UDP on the interface of its own, where it has one.
func (d *drivers) within(l config.Link, open func() error) error {
	if l.Interface == "" {
		return open()
	}
	return network.Isolate(l.Interface, l.Local, open)
}

func port(l config.Link) ethernet.Port { return ethernet.Port{Interface: l.Interface, Speed: l.Speed} }
