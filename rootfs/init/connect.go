package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"heliograph/firmware/platform/store"
	"heliograph/rootfs/network"
)

// Where the board's address is written: on the card, and by the console, which
// comes first. The card's boot partition is never written while the board runs.
const (
	cardNetwork = boot + "/network.toml"
	ownNetwork  = "/data/network"
)

// settings reads the board's address.
func settings() (network.Config, error) {
	name, text := ownNetwork, []byte(nil)
	text, err := store.Read(ownNetwork)
	if err != nil {
		name = cardNetwork
		if text, err = os.ReadFile(cardNetwork); err != nil {
			return network.Config{}, err
		}
	}
	c, err := network.Parse(bytes.NewReader(text))
	if err != nil {
		return c, fmt.Errorf("%s: %v", name, err)
	}
	return c, nil
}

const receiveBufferMax = 16 << 20 // bytes for one socket; the kernel doubles it for its own book-keeping

// connect names the machine and brings its interfaces up. What fails is said;
// the role starts all the same.
func connect(ctx context.Context, log *slog.Logger, role string) {
	// The role listens on ports below 1024, 514 of syslog first, and has no
	// privilege; nobody else runs here.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0); err != nil {
		log.Error("ports below 1024 stay closed: " + err.Error())
	}
	// What a role may ask for to hold what arrives while it is busy.
	if err := os.WriteFile("/proc/sys/net/core/rmem_max", []byte(strconv.Itoa(receiveBufferMax)), 0); err != nil {
		log.Error("receive buffers stay small: " + err.Error())
	}
	if err := network.Loopback(); err != nil {
		log.Error(err.Error())
	}
	c, err := settings()
	if c.Hostname == "" {
		c.Hostname = "helio" + role
	}
	switch {
	case err != nil:
		log.Warn("no address: " + err.Error())
	case c.DHCP:
		go c.Keep(ctx, log, func(got network.Config) { address(got, log) })
	default:
		address(c, log)
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		log.Error("naming the machine: " + err.Error())
	}
}

func address(c network.Config, log *slog.Logger) {
	set := c.Up
	if !c.Address.IsValid() {
		set = c.Down
	}
	if err := set(); err != nil {
		log.Error(err.Error())
		return
	}
	if err := os.WriteFile("/run/resolv.conf", []byte(c.Resolver()), 0o444); err != nil {
		log.Error(err.Error())
	}
	log.Info("address set", "interface", c.Interface, "address", c.Address.String())
}
