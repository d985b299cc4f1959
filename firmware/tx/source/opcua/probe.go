package opcua

import (
	"context"
	"log/slog"
	"time"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/opcua/uabinary"
)

// Probe opens a session as a Source does, and closes it. It returns the server's time; the
// zero time where the server does not show it. Without a certificate of our own it decides
// on the server's alone.
func Probe(ctx context.Context, cfg config.OPCUASource, certificates *pki.Store) (now time.Time, err error) {
	s := &Source{cfg: cfg, store: certificates, log: slog.New(slog.DiscardHandler)}
	if s.user, err = user(cfg); err != nil {
		return now, err
	}
	if cfg.SecurityPolicy != "None" && certificates.Own() == nil {
		return now, client.Examine(ctx, s.clientConfig())
	}
	session, err := client.Connect(ctx, s.clientConfig())
	if err != nil {
		return now, err
	}
	defer session.Close()
	clock := []client.ReadItem{{Node: rawvalue.NodeID{Number: id.Server_ServerStatus_CurrentTime},
		Attribute: ua.AttributeIDValue}}
	return now, session.Read(ctx, clock, 0, func(_ int, v rawvalue.DataValue) {
		if v.Value.Type() != ua.TypeIDDateTime || v.Value.IsArray() {
			return
		}
		cur := rawvalue.NewCursor(v.Value.Elements(), rawvalue.Limits{})
		if at := cur.Int64(); at > 0 {
			now = uabinary.Time(at)
		}
	})
}
