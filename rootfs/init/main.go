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
// It opens the link and hands it to the role, which runs in a sandbox where it
// could not (see package sandbox). What the role reports each second decides
// the LED and the watchdog (see package health).
// It sets the clock from what the role measures (see package clock).
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"heliograph/boards"
	"heliograph/rootfs/console"
	"heliograph/rootfs/logring"
	"heliograph/rootfs/sandbox"
	"heliograph/rootfs/update"
)

func main() {
	sandbox.Main()
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: this is PID 1 of a board, and does nothing elsewhere")
		os.Exit(2)
	}
	err := mountSystem()
	lines := &logring.Ring{}
	screen := newScreen(kernelConsole())
	out := io.MultiWriter(lines, screen)
	log := slog.New(slog.NewTextHandler(out, nil)).With("part", "init")
	if err != nil {
		log.Error(err.Error())
	}
	command := unix.LINUX_REBOOT_CMD_RESTART
	if run(log, lines, screen) {
		command = unix.LINUX_REBOOT_CMD_POWER_OFF
	}
	_ = lines.Close()
	unmount(log)
	if err := unix.Reboot(command); err != nil {
		log.Error("ending: " + err.Error())
	}
	select {} // the kernel panics when PID 1 ends
}

// run works until it is asked to end, and says whether to power off.
func run(log *slog.Logger, lines *logring.Ring, screen *screen) bool {
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		log.Warn("Ctrl-Alt-Del restarts without notice: " + err.Error())
	}
	name, board := image("role"), image("board")
	b, known := boards.ByName(board)
	log.Info("board up", "role", name, "board", board, "kernel", kernel())
	if !known {
		log.Error("the board of this image is not known: no LED, no watchdog")
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	v := newVitals(log)
	var running sync.WaitGroup
	running.Go(func() { v.Run(ctx, b) })

	mountStorage(log)
	if err := lines.Attach("/data/log", logSize); err != nil {
		log.Error("the log is lost at the next restart: " + err.Error())
	}
	connect(ctx, log, name)
	k := newTimekeeper(log)
	running.Go(func() { k.Run(ctx, v) })
	n := newNews(log, name, board)
	u, err := openReleases(log, n, update.Target{Role: name, Board: board}, v, func() { asked <- syscall.SIGINT })
	if err != nil {
		log.Error("no update is possible: " + err.Error())
		n.impossible(err)
	} else {
		running.Go(func() { u.Run(ctx) })
	}
	r := &role{name: name, log: log, out: io.MultiWriter(lines, console.Text(screen)), vitals: v}
	running.Go(func() { r.supervise(ctx) })
	d := &desk{board: b, role: r, news: n, vitals: v, lines: lines, asked: asked, log: log}
	running.Go(func() { d.serve(ctx, patient{screen, ctx}) })
	s := <-asked
	log.Info("ending", "signal", s.String())
	stop()
	running.Wait()
	return s == syscall.SIGTERM
}

// logSize is how much of the log is kept on the data partition.
const logSize = 4 << 20

// image returns a word that the image was built with.
func image(name string) string {
	b, err := os.ReadFile("/etc/heliograph/" + name)
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}
