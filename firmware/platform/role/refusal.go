package role

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"heliograph/firmware/platform/handover"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/machine"
	"heliograph/firmware/platform/status"
	"heliograph/firmware/platform/task"
)

// show serves why a board's configuration is refused, until it is ended, with the same
// pages and bounds as the status of a role that runs.
func (p Program) show(r handover.Refusal, unread error, log *slog.Logger) int {
	if unread != nil {
		log.Error("ended", "error", unread)
		return Failure
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := p.refusalServer(r, log).Run(ctx); err != nil {
		log.Error("faults of the configuration not shown", "error", err)
		return Failure
	}
	return OK
}

func (p Program) refusalServer(r handover.Refusal, log *slog.Logger) *status.Server {
	started, role := time.Now(), strings.TrimPrefix(p.Name, "helio")
	board := status.Board{Role: role, Version: p.Version}
	board.Name, _ = os.Hostname() // "" is not known
	board.LED = &machine.LED{Pattern: health.Invalid.Shown(), Means: health.Invalid.Means()}
	reasons := make(task.Reasons, 0, len(r.Faults))
	for _, f := range r.Faults {
		reasons = append(reasons, task.Reason{Part: "configuration", Cause: f})
	}
	return &status.Server{
		Listen: r.Listen, Log: log,
		Audit: func(string, string) {}, // there is no trail, and clients do not fill the log
		Role:  func() task.Reasons { return reasons },
		Snapshot: func() status.Snapshot {
			return status.Snapshot{Role: role, Version: p.Version, UptimeSeconds: time.Since(started).Seconds(),
				Refused: r.Faults, Boards: []status.Board{board}}
		},
	}
}
