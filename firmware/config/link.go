package config

import (
	"cmp"
	"strings"
	"syscall"
)

// link checks the [link] table: each medium requires its own keys and forbids those of the
// others, so that every key has an effect.
func (r *report) link(raw rawLink) Link {
	const a = tablePath("link")
	l := Link{Medium: Medium(raw.Medium), KeyFile: r.keyFile(raw.KeyFile)}
	var err error
	if l.Overhead, err = parsePercent(cmp.Or(raw.Overhead, defaultOverhead)); err != nil {
		r.fault(a, "overhead", "overhead: %v", err)
	}
	switch l.Medium {
	case UDP:
		r.forbid(a, "medium udp", "interface", "device", "baud")
		l.Rate = r.rate(raw.Rate)
		if raw.Address == "" {
			r.fault(a, "address",
				"address is missing: write where TX sends to and RX listens, as in address = \"10.0.0.3:17000\"")
		} else {
			l.Address, _ = r.hostPort(a, "address", raw.Address, "")
		}
	case Ethernet:
		r.forbid(a, "medium ethernet", "address", "device", "baud")
		l.Rate = r.rate(raw.Rate)
		l.Interface = r.networkInterface(raw.Interface)
	case UART:
		r.forbid(a, "medium uart", "address", "interface", "rate")
		l.Device, l.Baud = r.device(raw.Device), r.baud(raw.Baud)
	case "":
		r.fault(a, "medium", "medium is missing: write \"udp\", \"ethernet\" or \"uart\"")
	default:
		r.choice(a, "medium", raw.Medium, string(UDP), string(Ethernet), string(UART))
	}
	return l
}

func (r *report) rate(s string) float64 {
	rate, err := parseRate(cmp.Or(s, defaultRate))
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
		r.fault("link", "baud", "baud %d must be from %d to %d", n, minBaud, maxBaud)
	}
	return int(n)
}

// device checks for an absolute path. The check may run on another machine than the
// board, so the device need not exist.
func (r *report) device(s string) string {
	if !strings.HasPrefix(s, "/") {
		r.fault("link", "device", "device %q must be an absolute path, such as \"/dev/ttyAMA0\"", s)
	}
	return s
}

func (r *report) networkInterface(s string) string {
	if s == "" || len(s) >= syscall.IFNAMSIZ || strings.ContainsAny(s, "/ \t") || s == "lo" {
		r.fault("link", "interface",
			"interface %q must be the name of a network interface used only for the link, such as \"eth1\"", s)
	}
	return s
}
