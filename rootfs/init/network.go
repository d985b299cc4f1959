package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"heliograph/rootfs/network"
)

const receiveBufferMax = 16 << 20 // bytes for one socket; the kernel doubles it for its own book-keeping

// connect names the machine and brings its interfaces up. What fails is logged; the
// role starts all the same.
func connect(ctx context.Context, log *slog.Logger, role string, settings network.Settings) {
	// The role listens on ports below 1024, 514 of syslog first, and has no privilege;
	// no other program runs here.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0); err != nil {
		log.Error("ports below 1024 not opened to the role", "error", err)
	}
	// What a role may ask for to hold what arrives while it is busy.
	if err := os.WriteFile("/proc/sys/net/core/rmem_max", []byte(strconv.Itoa(receiveBufferMax)), 0); err != nil {
		log.Error("receive buffers not enlarged", "error", err)
	}
	if err := network.Loopback(); err != nil {
		log.Error("loopback not up", "error", err)
	}
	c, err := settings.Read()
	if c.Hostname == "" {
		c.Hostname = "helio" + role
	}
	switch {
	case err != nil:
		log.Warn("no address configured", "error", err)
	case c.DHCP:
		go c.Keep(ctx, log, func(got network.Config) { setAddress(log, got) })
	default:
		setAddress(log, c)
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		log.Error("hostname not set", "error", err)
	}
}

func setAddress(log *slog.Logger, c network.Config) {
	set := c.Up
	if !c.Address.IsValid() {
		set = c.Down
	}
	if err := set(); err != nil {
		log.Error("address not set", "error", err)
		return
	}
	if err := os.WriteFile("/run/resolv.conf", []byte(c.Resolver()), 0o444); err != nil {
		log.Error("nameservers not set", "error", err)
	}
	log.Info("address set", "interface", c.Interface, "address", c.Address.String())
}
