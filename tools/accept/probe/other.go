//go:build !linux

package probe

import (
	"context"

	"heliograph/tools/accept"
)

func elsewhere() accept.Reverse {
	return accept.Reverse{Reason: "probes are sent by RX's machine, which runs Linux"}
}

func ethernet(context.Context, string, int) accept.Reverse { return elsewhere() }
func udp(context.Context, string, int) accept.Reverse      { return elsewhere() }
func uart(context.Context, string, int) accept.Reverse     { return elsewhere() }
