// Command record makes the recordings that the alert rules are tested against: it
// starts real pairs on this machine, each with an impaired link and trouble of its
// own, and keeps what a Prometheus would scrape of them every 15 s.
//
//	go run ./tools/monitoring/record [--scrapes 40] [RUN…]
//
// It takes ten minutes for all runs together. It is run by hand when metrics
// or rules change, not in CI. It refuses to use anything but loopback; the run
// disk-full mounts a small disk and takes root.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"

	"heliograph/tools/monitoring"
)

func main() {
	scrapes := flag.Int("scrapes", 40, "number of scrapes, 15 s apart")
	programs := flag.String("programs", "bin", "folder of heliotx and heliorx")
	to := flag.String("o", "tools/monitoring/recordings", "folder of the recordings")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := recordAll(ctx, *programs, *to, *scrapes, flag.Args()); err != nil {
		slog.Error("recording", "error", err)
		os.Exit(1)
	}
}

// recordAll runs the named plans, or all of them, side by side.
func recordAll(ctx context.Context, programs, to string, scrapes int, names []string) error {
	if err := os.MkdirAll(to, 0o755); err != nil { // now, and not when all is recorded
		return err
	}
	var all sync.WaitGroup
	results := make(chan error, len(plans()))
	for _, p := range plans() {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		all.Go(func() {
			rec, err := record(ctx, programs, p, scrapes)
			if err == nil {
				err = write(filepath.Join(to, p.name+".txt"), rec)
			}
			if err != nil {
				results <- fmt.Errorf("%s: %w", p.name, err)
			}
		})
	}
	all.Wait()
	close(results)
	var err error
	for one := range results {
		err = errors.Join(err, one)
	}
	return err
}

func write(path string, rec monitoring.Recording) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(rec.Write(f), f.Close())
}
