package main

import (
	"context"

	"heliograph/drivers/netdev"
	"heliograph/drivers/probe"
	"heliograph/firmware/config"
	"heliograph/tools/accept"
)

// sendProbes sends probes from this machine's end of a link towards TX.
func sendProbes(ctx context.Context, l config.Link, count int) accept.Reverse {
	p := probe.Plan{Count: count}
	switch l.Medium {
	case config.Ethernet:
		d, err := netdev.Find(l.Interface)
		if err != nil {
			return accept.Reverse{Reason: err.Error(), Cure: "cure that on RX's machine, and measure again"}
		}
		return reverse(p.Ethernet(ctx, d.Index, d.MAC))
	case config.UDP:
		return reverse(p.UDP(ctx, l.Address))
	case config.UART:
		return reverse(p.UART(ctx, l.Device))
	}
	return accept.Reverse{Reason: "this medium has no probe"}
}

// reverse is what was sent, for the report.
func reverse(r probe.Result) accept.Reverse {
	out := accept.Reverse{Reason: r.Reason, Cure: r.Cure, OneMachine: r.OneMachine, Left: r.Left}
	for _, m := range r.Sent {
		out.Sent = append(out.Sent, accept.Means(m))
	}
	return out
}
