//go:build !linux

package probe

import (
	"context"
	"net"
)

func elsewhere() Result { return Result{Reason: "probes are sent by RX's machine, which runs Linux"} }

// Ethernet is for a Linux host or a board.
func (Plan) Ethernet(context.Context, int, net.HardwareAddr) Result { return elsewhere() }

// UDP is for a Linux host or a board.
func (Plan) UDP(context.Context, string) Result { return elsewhere() }

// UART is for a Linux host or a board.
func (Plan) UART(context.Context, string) Result { return elsewhere() }
