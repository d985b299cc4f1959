package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"heliograph/boards"
	"heliograph/boards/fit"
	"heliograph/firmware/config"
	"heliograph/rootfs/network"
)

// Our own choices.
const (
	receiveBufferMax = 16 << 20 // bytes for one socket; the kernel doubles it for its own book-keeping
	addressRetry     = time.Second
)

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
		go c.Keep(ctx, log, func(got network.Config) { _ = setAddress(log, got) })
	default:
		if err := setAddress(log, c); err != nil {
			go persist(ctx, log, c)
		}
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		log.Error("hostname not set", "error", err)
	}
}

// persist sets the address once the interface is there: one on USB may be found after the
// start.
func persist(ctx context.Context, log *slog.Logger, c network.Config) {
	if c.WaitUp(ctx, addressRetry) {
		_ = setAddress(log, c)
	}
}

// thisMachine returns the board with its network as what the role's configuration has to fit.
func thisMachine(b boards.Board, settings network.Settings) config.Machine {
	c, err := settings.Read()
	if err != nil {
		return fit.Machine(b, fit.Network{}) // connect has logged it
	}
	return fit.Machine(b, fit.Network{Interface: c.Interface, Address: c.Address})
}

// setAddress sets what a configuration says, and logs what became of it.
func setAddress(log *slog.Logger, c network.Config) error {
	set := c.Up
	if !c.Address.IsValid() {
		set = c.Down
	}
	if err := set(); err != nil {
		log.Error("address not set", "error", err, "retry", addressRetry.String())
		return err
	}
	if err := os.WriteFile("/run/resolv.conf", []byte(c.Resolver()), 0o444); err != nil {
		log.Error("nameservers not set", "error", err)
	}
	log.Info("address set", "interface", c.Interface, "address", c.Address.String())
	return nil
}
