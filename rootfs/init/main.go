// Program init is PID 1 of a board: it mounts, names the machine, gives it its
// address, opens its devices, and keeps the one role running (see package
// supervisor).
//
//	/          SquashFS slot, read-only      the role's program and this one
//	/boot      FAT, read-only                heliograph/: configuration, network.toml
//	/data      ext4 with a journal           state of the role; see package storage
//	/run/role  in memory                     the configuration as the role may read it
//
// It starts no shell and opens no port. SIGTERM powers the board off, SIGINT
// (Ctrl-Alt-Del) restarts it; both give the role time to end.
//
// It opens the link and hands it to the role, which runs in a sandbox where it
// could not (see package sandbox). What the role reports each second decides
// the LED and the watchdog (see package health) and sets the clock (see package
// timekeeper). On a receiver it sends reverse probes on the link (see package probe), when a
// person at the console asks and at no other time.
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/machine"
	"heliograph/rootfs/console"
	"heliograph/rootfs/logring"
	"heliograph/rootfs/network"
	"heliograph/rootfs/sandbox"
	"heliograph/rootfs/selftest"
	"heliograph/rootfs/supervisor"
	"heliograph/rootfs/update"
)

// logSize is how much of the log is kept on the data partition.
const logSize = 4 << 20

func main() {
	sandbox.Main()
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is PID 1 of a board, and does nothing elsewhere")
		os.Exit(2)
	}
	err := mountSystem()
	hardware, _ := boards.ByName(imageWord("board"))
	b := &board{quit: make(chan os.Signal, 4)}
	b.screen, b.adapter = newScreen(hardware.Console)
	b.log = slog.New(slog.NewTextHandler(io.MultiWriter(&b.lines, console.Log(b.screen)), nil))
	log := b.component("init")
	if err != nil {
		log.Error("system not mounted", "error", err)
	}
	command := unix.LINUX_REBOOT_CMD_RESTART
	if b.run() == syscall.SIGTERM {
		command = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	_ = b.lines.Close()
	unmount(log)
	if err := unix.Reboot(command); err != nil {
		log.Error("board not ended", "error", err)
	}
	select {} // the kernel panics when PID 1 ends
}

// board is this machine.
type board struct {
	lines   logring.Ring
	screen  *console.Writer
	adapter *console.Adapter // nil where the console is not on USB
	log     *slog.Logger
	quit    chan os.Signal // ends the board: SIGTERM powers it off, SIGINT restarts it
}

func (b *board) component(name string) *slog.Logger { return b.log.With("component", name) }

func (b *board) restart()  { b.quit <- syscall.SIGINT }
func (b *board) powerOff() { b.quit <- syscall.SIGTERM }

// run works until a signal ends the board, and returns it.
func (b *board) run() os.Signal {
	log := b.component("init")
	signal.Notify(b.quit, syscall.SIGTERM, syscall.SIGINT)
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		log.Warn("Ctrl-Alt-Del restarts without notice", "error", err)
	}
	target := update.Target{Role: imageWord("role"), Board: imageWord("board")}
	hardware, known := boards.ByName(target.Board)
	log.Info("board up", "role", target.Role, "board", target.Board, "kernel", kernelRelease())
	if !known {
		log.Error("no LED and no watchdog: the board of this image is not known")
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	vitals := supervisor.NewVitals(b.component("health"))
	go func() { vitals.Run(ctx, openOutputs(ctx, log, hardware)) }() // feeds while the board ends
	var running sync.WaitGroup
	if mountStorage(log, &running) {
		stop()
		running.Wait()
		return syscall.SIGINT
	}
	if err := b.lines.Attach("/data/log", logSize, log); err != nil {
		log.Error("log not kept over a restart", "error", err)
	}
	settings := network.Settings{Console: "/data/network", Card: "/boot/heliograph/network.toml"}
	connect(ctx, b.component("network"), target.Role, settings)
	clock := newTimekeeper(b.component("clock"), vitals) // sets the clock before the role starts
	running.Go(func() { clock.Run(ctx) })
	releases := b.startUpdater(ctx, &running, target, vitals)
	role := supervisor.New(supervisor.Config{
		Role: target.Role, Board: target.Board,
		Machine: func() config.Machine { return thisMachine(hardware, settings) },
		Log:     b.component("supervisor"), RoleLog: io.MultiWriter(&b.lines, console.Log(console.Text(b.screen))),
		Vitals: vitals, User: roleUser, Starter: sandboxes{}, Links: &drivers{log: b.component("link")},
		Folders: supervisor.Folders{Card: "/boot/heliograph", Home: "/run/role", State: stateFolder,
			Keys: "/data/keys"},
	})
	facts := newFacts(log, hardware, role, vitals)
	running.Go(func() { facts.Run(ctx) })
	running.Go(func() { role.Run(ctx) })
	minute := &selftest.Minute{Root: os.DirFS("/"), Link: role.Link}
	running.Go(func() { minute.Run(ctx) })
	keys := console.New(supervisor.NewConsoleBoard(supervisor.ConsoleConfig{
		Log: b.component("console"), Lines: &b.lines, Board: hardware, Role: role, Vitals: vitals, Releases: releases,
		Network: settings, Facts: facts, Minute: minute, Restart: b.restart, PowerOff: b.powerOff,
	}), b.screen.Waiting(ctx))
	running.Go(func() { b.serveConsole(ctx, b.component("console"), hardware.Console, keys) })
	s := <-b.quit
	log.Info("ending", "signal", s.String())
	stop()
	running.Wait()
	return s
}

// newFacts returns what publishes to the role how the board does.
func newFacts(log *slog.Logger, b boards.Board, role *supervisor.Supervisor, v *supervisor.Vitals) *supervisor.Facts {
	f := &supervisor.Facts{Log: log, Reader: machine.Of(stateFolder, false), File: machine.File, Vitals: v,
		LED: b.Heartbeat != (boards.Line{}) || b.OwnLED != ""}
	if role.Role == "rx" {
		f.Key = string(rune(console.ProbeKey))
	} else {
		f.Received = role.Received
	}
	return f
}

// The role's user and group, and its folder of state.
const (
	roleUser    = 1000
	stateFolder = "/data/state"
)
