// Command heliotx is the plant's side of the gateway: it reads the plant's servers,
// brokers and senders, and transmits what they say through a link that carries
// nothing back.
//
// This is the role's composition root: the only place that names concrete
// sources and drivers. What the role does is in package tx/node.
package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"heliograph/boards/fit"
	"heliograph/drivers/clock"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/systemd"
	"heliograph/firmware/tx/node"
)

var version = "unknown" // set by the linker

func main() {
	os.Exit(role.Main(role.Program{
		Name: "heliotx", Version: version,
		Check: func(path string) ([]config.Warning, error) {
			_, warnings, err := fit.Defaults(os.Getenv(handover.Board)).LoadTX(path)
			return warnings, err
		},
		Run: run,
	}, os.Args[1:], os.Stdout, os.Stderr))
}

// Our own choices about memory, where the environment does not set them.
const (
	// gcPercent trades time for a board's memory: a third less with 100,000 tags.
	gcPercent = 50
	// besideState is what the role may use beside its channels' state before the
	// garbage collector works harder: queues, sources and what is not collected yet.
	besideState = 40 << 20
)

func run(ctx context.Context, path string, log *slog.Logger, hangup <-chan os.Signal) error {
	cfg, _, err := fit.Defaults(os.Getenv(handover.Board)).LoadTX(path)
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Memory.State + cfg.Replay.Memory + besideState)
	}
	c := node.Config{
		Version:      version,
		TX:           cfg,
		Build:        node.Build{Medium: openMedium, MQTT: newMQTT, Syslog: newSyslog, OPCUA: newOPCUA},
		Synchronized: clock.Synchronized,
		Hangup:       hangup,
		Log:          log,
	}
	c.Notify = systemd.Socket()
	if report.Wanted() {
		c.Reports = os.Stdout
	}
	n, err := node.New(c)
	if err != nil {
		return err
	}
	defer n.Close()
	return n.Run(ctx)
}
