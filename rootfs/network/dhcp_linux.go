package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"

	"heliograph/drivers/netdev"
	"heliograph/firmware/platform/task"
)

// Our own choices.
const (
	shortestLease = time.Minute // a shorter one is renewed as if it were as long
	longestLease  = 24 * time.Hour
	firstRetry    = 4 * time.Second // after the first failure
	lastRetry     = time.Minute
	watchEvery    = 2 * time.Second // whether the interface is still there
	mostServers   = 4               // nameservers of a lease
)

// Keep gets the address from a DHCP server (RFC 2131) and keeps it, until ctx ends.
// changed is called with each new address, and with an invalid one when the lease
// expires.
func (c Config) Keep(ctx context.Context, log *slog.Logger, changed func(Config)) {
	backoff := task.Backoff{First: firstRetry, Last: lastRetry}
	for {
		err := c.lease(ctx, log, func(got Config) { backoff.Reset(); changed(got) })
		if ctx.Err() != nil {
			return
		}
		wait := backoff.Next()
		log.Warn("no address from DHCP", "error", err, "retry", wait.Round(time.Millisecond).String(), "interface",
			c.Interface)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// errReplaced is why a lease ends whose interface has gone, or is another one.
var errReplaced = errors.New("the interface was removed")

// lease gets one lease, and renews it as long as the server does and the interface is there.
func (c Config) lease(outer context.Context, log *slog.Logger, changed func(Config)) error {
	device, err := netdev.Find(c.Interface)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(outer)
	defer end(nil)
	go c.watch(ctx, device.Index, end)
	if err := up(device.Name); err != nil {
		return err
	}
	client, err := nclient4.New(device.Name)
	if err != nil {
		return err
	}
	defer client.Close()
	var named []dhcpv4.Modifier
	if c.Hostname != "" {
		named = append(named, dhcpv4.WithOption(dhcpv4.OptHostName(c.Hostname)))
	}
	lease, err := client.Request(ctx, named...)
	if err != nil {
		return fmt.Errorf("no server answers: %w", cmp.Or(context.Cause(ctx), err))
	}
	var before Config
	for {
		got, length, err := c.read(lease.ACK)
		if err != nil {
			return err
		}
		if got.Text() != before.Text() {
			log.Info("address leased", "address", got.Address.String(), "lease", length.String(),
				"server", lease.ACK.ServerIdentifier().String())
			changed(got)
			before = got
		}
		if lease, err = renew(ctx, client, lease, length); err != nil {
			if outer.Err() == nil && !errors.Is(err, errReplaced) {
				changed(Config{Hostname: c.Hostname, Interface: c.Interface})
			}
			return err
		}
	}
}

// watch ends a lease whose interface is not the one with this index any more.
func (c Config) watch(ctx context.Context, index int, end context.CancelCauseFunc) {
	for c.index() == index {
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery):
		}
	}
	end(errReplaced)
}

// renew asks from half of the lease on, and stops at its end.
func renew(ctx context.Context, client *nclient4.Client, lease *nclient4.Lease, length time.Duration) (*nclient4.Lease,
	error) {
	end := time.Now().Add(length)
	for wait := length / 2; ; wait = max(time.Until(end)/2, shortestLease/2) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
		next, err := client.Renew(ctx, lease)
		if err == nil {
			return next, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if nak := (*nclient4.ErrNak)(nil); errors.As(err, &nak) {
			return nil, errors.New("the server withdrew the address")
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("the lease expired: %v", err)
		}
	}
}

// read returns what an answer sets of a configuration: what a static one may have.
func (c Config) read(ack *dhcpv4.DHCPv4) (got Config, length time.Duration, err error) {
	address, ok := netip.AddrFromSlice(ack.YourIPAddr.To4())
	if !ok || !address.IsGlobalUnicast() {
		return got, 0, fmt.Errorf("the server offers %s, which is not an address of a host", ack.YourIPAddr)
	}
	ones, bits := ack.SubnetMask().Size()
	if bits != 32 || ones < 8 || ones > 31 {
		return got, 0, fmt.Errorf("the server offers the netmask %s", net.IP(ack.SubnetMask()))
	}
	got = Config{Hostname: c.Hostname, Interface: c.Interface, DHCP: true, Address: netip.PrefixFrom(address, ones)}
	for _, r := range ack.Router() {
		if gateway, ok := netip.AddrFromSlice(r.To4()); ok && got.Address.Contains(gateway) {
			got.Gateway = gateway
			break
		}
	}
	for _, d := range ack.DNS() {
		if server, ok := netip.AddrFromSlice(d.To4()); ok && len(got.Nameservers) < mostServers {
			got.Nameservers = append(got.Nameservers, server)
		}
	}
	return got, min(max(ack.IPAddressLeaseTime(0), shortestLease), longestLease), nil
}
