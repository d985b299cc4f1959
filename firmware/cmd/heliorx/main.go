// Command heliorx is IT's side of the gateway: it receives from the link, which it
// has no way to answer, and serves what the plant's side sent.
//
// This is the role's composition root: the only place that names concrete
// sinks and drivers. What the role does is in package rx/node.
package main

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"

	"heliograph/boards/fit"
	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/report"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/systemd"
	"heliograph/firmware/rx/node"
)

var version = "unknown" // set by the linker

func main() {
	os.Exit(role.Main(role.Program{
		Name: "heliorx", Version: version,
		Check: func(path string) ([]config.Warning, error) {
			_, warnings, err := fit.Defaults(os.Getenv(handover.Board)).LoadRX(path)
			return warnings, err
		},
		Run: run,
	}, os.Args[1:], os.Stdout, os.Stderr))
}

// besideState is what the role may use beside its channels' state before the
// garbage collector works harder: sinks, sessions and what is not collected yet.
const besideState = 140 << 20

func run(ctx context.Context, path string, log *slog.Logger, _ <-chan os.Signal) error {
	cfg, _, err := fit.Defaults(os.Getenv(handover.Board)).LoadRX(path)
	if err != nil {
		return err
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cfg.Memory.State + besideState)
	}
	c := node.Config{
		Version: version,
		RX:      cfg,
		Build:   node.Build{Medium: openMedium, MQTT: newMQTT, Syslog: newSyslog, OPCUA: newOPCUA, State: newState},
		Log:     log,
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
