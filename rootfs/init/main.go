// Program init is PID 1 of a board: it mounts, names the machine, gives it its
// address, and keeps the one role running.
//
//	/          SquashFS slot, read-only      the role's program and this one
//	/boot      FAT, read-only                heliograph/: configuration, network.toml
//	/data      ext4 with a journal           state of the role; formatted if it does not mount
//	/run/role  in memory                     the configuration as the role may read it
//
// It starts no shell, answers no port, and asks nobody for an address. SIGTERM
// powers the board off, SIGINT (Ctrl-Alt-Del) starts it again; both give the
// role time to end.
//
// Short of its aim so far: the role runs as a user of its own, not in the
// sandbox; it opens its link itself; no watchdog is armed; the clock is the
// hardware's.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"heliograph/rootfs/network"
	"heliograph/rootfs/sandbox"
)

func main() {
	sandbox.Main()
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is PID 1 of a board, and does nothing elsewhere")
		os.Exit(2)
	}
	err := mountSystem()
	log := slog.New(slog.NewTextHandler(console(), nil)).With("part", "init")
	if err != nil {
		log.Error(err.Error())
	}
	command := unix.LINUX_REBOOT_CMD_RESTART
	if run(log) {
		command = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	unmount(log)
	if err := unix.Reboot(command); err != nil {
		log.Error("ending: " + err.Error())
	}
	select {} // the kernel panics when PID 1 ends
}

// console returns where lines go; without a console they go nowhere.
func console() *os.File {
	f, err := os.OpenFile("/dev/console", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return os.Stderr
	}
	return f
}

// run works until it is asked to end, and says whether to power off.
func run(log *slog.Logger) bool {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		log.Warn("Ctrl-Alt-Del restarts without notice: " + err.Error())
	}
	role, board := image("role"), image("board")
	log.Info("board up", "role", role, "board", board, "kernel", release())
	mountStorage(log)
	connect(log, role)

	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		supervise(ctx, role, log)
	}()
	s := <-asked
	log.Info("ending", "signal", s.String())
	stop()
	<-ended
	return s == syscall.SIGTERM
}

// image returns a word that the image was built with.
func image(name string) string {
	b, err := os.ReadFile("/etc/heliograph/" + name)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// connect names the machine and brings its interfaces up. What fails is said;
// the role starts all the same.
func connect(log *slog.Logger, role string) {
	c := network.Config{Hostname: "helio" + role}
	if err := network.Loopback(); err != nil {
		log.Error(err.Error())
	}
	const name = "/boot/heliograph/network.toml"
	f, err := os.Open(name)
	if err != nil {
		log.Warn("no address: " + err.Error())
	} else {
		defer f.Close()
		got, err := network.Parse(f)
		if err != nil {
			log.Error(name + ": " + err.Error())
		} else {
			if got.Hostname == "" {
				got.Hostname = c.Hostname
			}
			c = got
			address(c, log)
		}
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		log.Error("naming the machine: " + err.Error())
	}
}

func address(c network.Config, log *slog.Logger) {
	if err := c.Up(); err != nil {
		log.Error(err.Error())
		return
	}
	if err := os.WriteFile("/run/resolv.conf", []byte(c.Resolver()), 0o444); err != nil {
		log.Error(err.Error())
	}
	log.Info("address set", "interface", c.Interface, "address", c.Address.String())
}
