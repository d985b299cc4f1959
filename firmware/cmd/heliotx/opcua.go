package main

import (
	"context"
	"log/slog"
	"os"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/audit/keeper"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/platform/task"
	"heliograph/firmware/tx/pipeline"
	"heliograph/firmware/tx/source/opcua"
)

// looking is the OPC UA part of the role: the sources and the certificates that
// they share.
type looking struct {
	store   identity.Store
	sources []*opcua.Source
	journal *keeper.Keeper
}

// lookers makes the configured OPC UA sources, each with its channel.
func lookers(cfg config.TX, link *pipeline.Link, journal *keeper.Keeper, log *slog.Logger) (*looking, error) {
	l := &looking{journal: journal}
	if len(cfg.OPCUA) == 0 {
		return l, nil
	}
	var err error
	l.store, err = identity.Open(cfg.PKI, "tx", cfg.Pair, l.trustChanged,
		func(text string, n uint64) { journal.AddCount("certificate_rejected", text, n) }, log)
	if err != nil {
		return nil, err
	}
	for _, c := range cfg.OPCUA {
		s, err := opcua.New(c, cfg.State, l.store.Store, link.Port(c.Channel, class(c.Bulk)), log)
		if err != nil {
			return nil, err
		}
		l.sources = append(l.sources, s)
	}
	return l, nil
}

// trustChanged has the sources decide again on the servers that they speak with.
func (l *looking) trustChanged() {
	l.journal.Add("trust_changed", "a folder of certificates has changed")
	for _, s := range l.sources {
		s.Reconnect()
	}
}

func (l *looking) tasks() (tasks []task.Task) {
	for _, s := range l.sources {
		tasks = append(tasks, s)
	}
	if len(tasks) > 0 {
		tasks = append(tasks, l.store)
	}
	return tasks
}

// browse has all sources browse again at each hangup.
func (l *looking) browse(ctx context.Context, hangup <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			log.Info("SIGHUP: OPC UA sources browse again", "sources", len(l.sources))
			for _, s := range l.sources {
				s.Browse()
			}
		}
	}
}
