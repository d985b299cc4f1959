package diagnosis

import (
	"fmt"

	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/status"
)

func value(n *uint64) uint64 {
	if n == nil {
		return 0
	}
	return *n
}

// oneWay names a link that has carried a reverse probe back.
func (s Site) oneWay(l *List, snap *status.Snapshot) {
	for _, b := range snap.Boards {
		if p := b.Probe; p != nil && p.CameBack {
			l.Add(Finding{Alarm, "way-back", "link", fmt.Sprintf("it is not one-way: TX's end has received %d packets "+
				"or bytes, as it says after a reverse probe", value(p.Received)),
				"take the link out of service, and find the path back; heliograph accept then proves that it is gone"})
		}
	}
}

// link names why the link does not deliver.
func (s Site) link(snap *status.Snapshot, f *status.Fact) Finding {
	one := func(code, words, cure string) Finding { return Finding{Fault, code, "link", words, cure} }
	switch f.Why.Code {
	case cause.Silent:
		return s.silent(snap, one)
	case cause.KeyMismatch:
		return one("key-mismatch", fmt.Sprintf("%d frames arrive that this side's pair key does not open, and none "+
			"that "+
			"it does", value(snap.Link.AuthFailures)), s.pick("`heliograph key show --config CONFIG` and the same "+
			"on the other side must print one ID: copy one pair.key to both sides, and restart",
			"key x of both consoles must show one ID: change the key with it, the receiver first"))
	}
	return s.medium(f.Text, f.Why, one)
}

// medium names why the link cannot be opened.
func (s Site) medium(words string, why cause.Cause, one func(code, words, cure string) Finding) Finding {
	switch why.Code {
	case cause.InterfaceAddress:
		return one("interface-address", words, s.pick("ip addr flush dev the interface, and have the system's network "+
			"configuration leave it alone", "set another interface in [link], or in network.toml: one interface "+
			"carries the link, another the network"))
	case cause.InterfaceMissing:
		return one("interface-missing", words, s.pick("plug the adapter in, or set interface in [link] of CONFIG to "+
			"one "+
			"that `ip link` shows", "plug the adapter in; key n shows the interfaces: set interface in [link] to one"))
	case cause.DeviceMissing:
		return one("device-missing", words, s.pick("plug the adapter in, or set device in [link] of CONFIG to one of "+
			"/dev/serial/by-id", "write the card for this board: its serial port is another board's"))
	}
	return one("link-down", words, "correct what it names; helio"+s.Role+" tries again by itself")
}

// Ended is the finding of a role that PID 1 of a board cannot start, or that has ended.
func (s Site) Ended(reason string, why cause.Cause) Finding {
	one := func(code, words, cure string) Finding { return Finding{Fault, code, "link", words, cure} }
	switch why.Code {
	case cause.DiskFull, cause.StateUnwritable:
		return s.state(reason, why)
	case cause.InterfaceAddress, cause.InterfaceMissing, cause.DeviceMissing, cause.Address, cause.PortInUse:
		return s.medium(reason, why, one)
	}
	return Finding{Fault, "role-ended", "role", reason, s.log()}
}

// silent names why nothing is received.
func (s Site) silent(snap *status.Snapshot, one func(code, words, cure string) Finding) Finding {
	link, uart := snap.Link, snap.Link.Medium == "uart"
	framing, breaks := snap.Counted("medium", "", "frame_errors"), snap.Counted("medium", "", "breaks")
	strange := link.Frames == 0 && link.Bytes > 0 && value(link.AuthFailures) == 0
	switch {
	case uart && (framing > 0 || strange):
		return one("baud", fmt.Sprintf("bytes arrive (%d) and no frame: the transmitter sends at another baud, or "+
			"what is connected is not its line (%d bytes without a stop bit)", link.Bytes, framing),
			"the same baud in [link] of both files, and a good ground between both ends; then restart both roles")
	case uart && breaks > 0:
		return one("line-break", "the line is held at 0: the wire is not connected, or the transmitter has no power",
			"check wire, ground and the transmitter's power")
	case strange:
		return one("not-frames", fmt.Sprintf("%d bytes arrive that are not frames: another program sends to this link",
			link.Bytes), "end what sends there, or choose another address or interface in [link] of both files")
	}
	return one("silent", link.State, s.pick("start heliotx, and check that both files have the same [link], its cable "+
		"(TX to RX), and a firewall on this side", "start the transmitter, and check the cable (TX to RX) and "+
		"[link] of both files"))
}

// frames names why frames are lost on this machine.
func (s Site) frames(l *List, snap *status.Snapshot) {
	if n := snap.Counted("medium", "", "overruns") + snap.Counted("medium", "", "buffer_overruns"); n > 0 {
		l.Add(Finding{Warning, "overruns", "link", fmt.Sprintf("bytes were lost %d times because this machine is too "+
			"slow for the baud", n), "lower baud in [link] of both files, and restart both roles"})
	}
	if n := value(snap.Link.Dropped); n > 0 {
		l.Add(Finding{Warning, "kernel-drops", "link", fmt.Sprintf("the kernel dropped %d frames because this machine "+
			"was too slow", n), s.pick("sysctl -w net.core.rmem_max=16777216, and restart helioROLE; or a lower "+
			"rate in [link] of both files", "lower rate in [link] of both files")})
	}
}
