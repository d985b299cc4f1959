package network

import (
	"net"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

func TestLeasesAreReadWithCare(t *testing.T) {
	with := func(address string, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
		ack, err := dhcpv4.New(dhcpv4.WithYourIP(net.ParseIP(address)))
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range options {
			ack.UpdateOption(o)
		}
		return ack
	}
	mask := dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))
	for _, tt := range []struct {
		name   string
		ack    *dhcpv4.DHCPv4
		want   string // as a network.toml; "" is refused
		length time.Duration
	}{
		{"everything", with("10.0.0.7", mask, dhcpv4.OptRouter(net.IPv4(10, 0, 0, 1)),
			dhcpv4.OptDNS(net.IPv4(10, 0, 0, 2)), dhcpv4.OptIPAddressLeaseTime(time.Hour)),
			"hostname = \"h\"\ninterface = \"eth0\"\naddress = \"10.0.0.7/24\"\ngateway = " +
				"\"10.0.0.1\"\nnameservers = [\"10.0.0.2\"]\n", time.Hour},
		{"least", with("10.0.0.7", mask), "hostname = \"h\"\ninterface = \"eth0\"\naddress = \"10.0.0.7/24\"\n",
			shortestLease},
		{"a gateway elsewhere is left out", with("10.0.0.7", mask, dhcpv4.OptRouter(net.IPv4(192, 168, 0, 1))),
			"hostname = \"h\"\ninterface = \"eth0\"\naddress = \"10.0.0.7/24\"\n", shortestLease},
		{"for ever", with("10.0.0.7", mask, dhcpv4.OptIPAddressLeaseTime(0xffffffff*time.Second)),
			"hostname = \"h\"\ninterface = \"eth0\"\naddress = \"10.0.0.7/24\"\n", longestLease},
		{"no mask", with("10.0.0.7"), "", 0},
		{"a mask with holes", with("10.0.0.7", dhcpv4.OptSubnetMask(net.IPMask{255, 0, 255, 0})), "", 0},
		{"the whole internet", with("10.0.0.7", dhcpv4.OptSubnetMask(net.CIDRMask(0, 32))), "", 0},
		{"no address", with("0.0.0.0", mask), "", 0},
		{"everybody", with("224.0.0.1", mask), "", 0},
		{"itself", with("127.0.0.1", mask), "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, length, err := Config{Hostname: "h", Interface: "eth0", DHCP: true}.read(tt.ack)
			if tt.want == "" {
				if err == nil {
					t.Errorf("got %s, want it refused", got.Text())
				}
				return
			}
			if err != nil || got.Text() != tt.want || length != tt.length {
				t.Errorf("got %q for %s, %v; want %q for %s", got.Text(), length, err, tt.want, tt.length)
			}
		})
	}
}
