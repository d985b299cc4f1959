package config

import (
	"strings"
	"syscall"
)

// link checks the [link] table: each medium needs its own keys and refuses the
// others', so that no key stands there without an effect.
func (r *report) link(raw rawLink) Link {
	const a = at("link")
	l := Link{Medium: Medium(raw.Medium), KeyFile: r.keyFile(raw.KeyFile)}
	var err error
	if l.Overhead, err = parsePercent(orElse(raw.Overhead, defaultOverhead)); err != nil {
		r.fault(a, "overhead", "overhead: %v", err)
	}
	switch l.Medium {
	case UDP:
		r.refuse(a, "medium udp", "interface", "device", "baud")
		l.Rate = r.rate(raw.Rate)
		if raw.Address == "" {
			r.fault(a, "address", "address is missing: where TX sends and RX listens, such as \"127.0.0.1:17000\"")
		} else {
			l.Address, _ = r.hostPort(a, "address", raw.Address, "")
		}
	case Ethernet:
		r.refuse(a, "medium ethernet", "address", "device", "baud")
		l.Rate = r.rate(raw.Rate)
		l.Interface = r.networkInterface(raw.Interface)
	case UART:
		r.refuse(a, "medium uart", "address", "interface", "rate")
		l.Device, l.Baud = r.device(raw.Device), r.baud(raw.Baud)
	case "":
		r.fault(a, "medium", "medium is missing: udp, ethernet or uart")
	default:
		r.choice(a, "medium", raw.Medium, string(UDP), string(Ethernet), string(UART))
	}
	return l
}

func (r *report) rate(s string) float64 {
	rate, err := parseRate(orElse(s, defaultRate))
	if err != nil {
		r.fault("link", "rate", "rate: %v", err)
	}
	return rate
}

func (r *report) baud(n int64) int {
	if n == 0 && !r.has("link", "baud") {
		return defaultBaud
	}
	if n < minBaud || n > maxBaud {
		r.fault("link", "baud", "baud %d is outside %d to %d", n, minBaud, maxBaud)
	}
	return int(n)
}

// device takes an absolute path. A check may run on another machine than the
// board, so the device need not be there.
func (r *report) device(s string) string {
	if !strings.HasPrefix(s, "/") {
		r.fault("link", "device", "device %q must be a whole path, such as \"/dev/ttyAMA0\"", s)
	}
	return s
}

func (r *report) networkInterface(s string) string {
	if s == "" || len(s) >= syscall.IFNAMSIZ || strings.ContainsAny(s, "/ \t") || s == "lo" {
		r.fault("link", "interface", "interface %q must name a network interface of its own, such as \"eth1\"", s)
	}
	return s
}
