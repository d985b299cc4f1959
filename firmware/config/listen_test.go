package config

import (
	"strings"
	"testing"
)

func TestListenersThatOverlapAreFaults(t *testing.T) {
	dir := folder(t)
	for name, c := range map[string]struct {
		status, channel string
		overlap         bool
	}{
		"another port":              {"0.0.0.0:9464", "tcp://0.0.0.0:9465", false},
		"the same":                  {"0.0.0.0:9464", "tcp://0.0.0.0:9464", true},
		"all addresses and one":     {"0.0.0.0:9464", "tcp://10.0.0.2:9464", true},
		"one and all addresses":     {"10.0.0.2:9464", "tcp://:9464", true},
		"all of IPv6 and one of 4":  {"[::]:9464", "tcp://10.0.0.2:9464", true},
		"all of IPv4 and one of 6":  {"0.0.0.0:9464", "tcp://[fd00::1]:9464", false},
		"two addresses":             {"10.0.0.2:9464", "tcp://10.0.0.3:9464", false},
		"localhost and its address": {"localhost:9464", "tcp://127.0.0.1:9464", true},
		"a name and all":            {"gateway:9464", "tcp://0.0.0.0:9464", true},
		"TCP and UDP":               {"0.0.0.0:9464", "udp://0.0.0.0:9464", false},
		"any port":                  {"127.0.0.1:0", "tcp://127.0.0.1:0", false},
	} {
		t.Run(name, func(t *testing.T) {
			text := head + "[status]\nlisten = \"" + c.status + "\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"" +
				c.channel + "\"]\n"
			_, _, err := ParseTX(strings.NewReader(text), dir)
			if c.overlap != (err != nil) || err != nil && !strings.Contains(err.Error(), ":10: ") ||
				err != nil && !strings.Contains(err.Error(), "is already used on line 7") {
				t.Errorf("got %v, want a fault: %t", err, c.overlap)
			}
		})
	}
}

func TestTheLinkOfRXIsAListenerToo(t *testing.T) {
	text := strings.Replace(head, "127.0.0.1:1", "0.0.0.0:4840", 1) +
		"[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://0.0.0.0:4840\"\nanonymous = true\n"
	if _, _, err := ParseRX(strings.NewReader(text), folder(t)); err != nil {
		t.Errorf("UDP and TCP: got %v, want none", err)
	}
}

func TestTXSendsToAnAddress(t *testing.T) {
	dir := folder(t)
	for host, good := range map[string]bool{"0.0.0.0": false, "[::]": false, "": false, "10.0.0.3": true, "rx": true} {
		text := strings.Replace(head, "127.0.0.1", host, 1)
		_, _, err := ParseTX(strings.NewReader(text+oneSyslog), dir)
		if good != (err == nil) || err != nil && !strings.Contains(err.Error(),
			":4: address \""+host+":1\" is not one that can be sent to") {
			t.Errorf("TX to %q: got %v, want accepted: %t", host, err, good)
		}
		if _, _, err := ParseRX(strings.NewReader(text+oneForward), dir); err != nil {
			t.Errorf("RX on %q: got %v, want none", host, err)
		}
	}
}

func TestALinkOverTheLoopback(t *testing.T) {
	for l, want := range map[Link]bool{
		{Medium: UDP, Address: "127.0.0.1:17000"}:        true,
		{Medium: UDP, Address: "[::1]:17000"}:            true,
		{Medium: UDP, Address: "localhost:17000"}:        true,
		{Medium: UDP, Address: "192.0.2.1:17000"}:        false,
		{Medium: UDP, Address: "0.0.0.0:17000"}:          false, // also from outside
		{Medium: UART, Device: "/dev/ttyS0"}:             false,
		{Medium: Ethernet, Interface: "127.0.0.1:17000"}: false,
	} {
		if got := l.OnLoopback(); got != want {
			t.Errorf("%+v: got %t", l, got)
		}
	}
}
