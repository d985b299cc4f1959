package main

import (
	"cmp"
	"context"
	"net/netip"
	"os"

	"heliograph/drivers/ethernet"
	"heliograph/drivers/isolate"
	"heliograph/drivers/netdev"
	"heliograph/drivers/probe"
	"heliograph/drivers/uart"
	"heliograph/drivers/udp/mmsg"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/machine"
)

// Probe implements supervisor.LinkOpener. Where the interface is, only the link's own socket
// shows: the kernel's number of it is that to which the socket is bound.
func (d *drivers) Probe(ctx context.Context, l config.Link, open *os.File, p probe.Plan) (r probe.Result) {
	if l.Medium == config.UART {
		return p.UART(ctx, l.Device)
	}
	err := isolate.Within(open, func() error {
		if l.Medium == config.UDP {
			r = p.UDP(ctx, l.Address)
			return nil
		}
		index, own, err := ethernet.Bound(open)
		if err == nil {
			r = p.Ethernet(ctx, index, own)
		}
		return err
	})
	if err != nil {
		r.Reason = err.Error()
	}
	return r
}

// Received implements supervisor.LinkOpener. It asks for the kernel's counts; what was received
// no program of this board can read.
func (d *drivers) Received(l config.Link, open *os.File) *machine.Received {
	r := &machine.Received{}
	if l.Medium == config.UART {
		if n, known := uart.TransmitterFromFile(open).Arrived(); known {
			r.Line = &n
			return r
		}
		return nil
	}
	err := isolate.Within(open, func() error { return count(l, open, r) })
	if err != nil || r.Interface == nil && r.Socket == nil {
		return nil
	}
	return r
}

// count counts in the network namespace of a link.
func count(l config.Link, open *os.File, r *machine.Received) error {
	if l.Medium == config.UDP {
		if err := drops(open, r); err != nil {
			return err
		}
	}
	index, known := leaves(l, open)
	if !known {
		return nil
	}
	traffic, err := netdev.TrafficOf(index)
	if err == nil {
		r.Interface = &traffic.Received
	}
	return err
}

// leaves returns the interface by which frames leave. For the name of a host a server would be
// asked each time: its interface is not known.
func leaves(l config.Link, open *os.File) (index int, known bool) {
	if l.Medium != config.UDP {
		index, _, err := ethernet.Bound(open)
		return index, err == nil
	}
	if _, err := netip.ParseAddrPort(l.Address); err != nil {
		return 0, false
	}
	return netdev.Towards(l.Address)
}

// drops counts what a socket's filter has dropped.
func drops(open *os.File, r *machine.Received) error {
	raw, err := open.SyscallConn()
	if err != nil {
		return err
	}
	closed := raw.Control(func(fd uintptr) {
		var m mmsg.MemInfo
		if m, err = mmsg.ReadMemInfo(int(fd)); err == nil {
			r.Socket = new(uint64(m.Drops))
		}
	})
	return cmp.Or(closed, err)
}
