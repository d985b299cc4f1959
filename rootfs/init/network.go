package main

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"sync"
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
	firstLease       = 20 * time.Second
	resolver         = "/run/resolv.conf" // where the image's /etc/resolv.conf leads
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
	// Before the role starts, which is given what is there, and no file that comes later.
	if err := os.WriteFile(resolver, nil, 0o444); err != nil {
		log.Error("nameservers not set", "error", err)
	}
	c, err := settings.Read()
	if c.Hostname == "" {
		c.Hostname = "helio" + role
	}
	set := addressSetter(log)
	switch {
	case err != nil:
		log.Warn("no address configured", "error", err)
	case c.DHCP:
		leased := make(chan struct{})
		first := sync.OnceFunc(func() { close(leased) })
		go c.Keep(ctx, log, func(got network.Config) { _ = set(got); first() })
		awaitFirst(leased)
	default:
		done := set(c) == nil
		go c.Hold(ctx, addressRetry, done, func() error { return set(c) })
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		log.Error("hostname not set", "error", err)
	}
}

// awaitFirst has the first start of a role wait some time for the board's address: the certificates that it
// makes then name it, and last for years.
func awaitFirst(leased <-chan struct{}) {
	if _, err := os.Stat(stateFolder + "/pki"); err == nil {
		return
	}
	select {
	case <-leased:
	case <-time.After(firstLease):
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

// addressSetter sets what a configuration says, and logs what became of it, an error once.
func addressSetter(log *slog.Logger) func(c network.Config) error {
	failed := ""
	return func(c network.Config) error {
		set := c.Up
		if !c.Address.IsValid() {
			set = c.Down
		}
		if err := set(); err != nil {
			if err.Error() != failed {
				failed = err.Error()
				log.Error("address not set", "error", err, "retry", addressRetry.String())
			}
			return err
		}
		failed = ""
		if err := os.WriteFile(resolver, []byte(c.Resolver()), 0o444); err != nil {
			log.Error("nameservers not set", "error", err)
		}
		log.Info("address set", "interface", c.Interface, "address", c.Address.String())
		return nil
	}
}
