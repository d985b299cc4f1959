package opcua

import (
	"context"

	"heliograph/firmware/opcua/client"
)

type events struct {
	changed chan struct{}
}

func newEvents(s *Source, m *model, session *client.Session) *events {
	return &events{changed: make(chan struct{}, 1)}
}

func (e *events) watch(ctx context.Context) error { return nil }

func (e *events) change() {
	signal(e.changed)
}
