package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/creack/pty"

	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/status"
	"heliograph/rootfs/console"
)

// board answers as a receiver does that repairs a frame now and then, until its terminal
// is closed.
func board(out io.Writer) error {
	master, terminal, err := pty.Open()
	if err != nil {
		return err
	}
	defer master.Close()
	defer terminal.Close()
	port, err := console.Open(terminal.Name(), 115200) // raw, so that nothing is echoed
	if err != nil {
		return err
	}
	defer port.Close()
	fmt.Fprintln(out, terminal.Name())
	begin := time.Now()
	for key := make([]byte, 1); ; {
		if _, err := io.ReadFull(master, key); err != nil {
			return err
		}
		if key[0] != console.Enquiry {
			continue
		}
		text, err := json.Marshal(receiver(time.Since(begin)))
		if err != nil {
			return err
		}
		console.Frame(master, "status", text)
	}
}

// receiver is how a board of IT's side is after a time.
func receiver(passed time.Duration) console.Status {
	seconds := uint64(passed.Seconds())
	s := console.Status{Role: "rx", Board: "rpi4b", Host: "press-hall-rx", Address: "10.1.0.7/24",
		State: health.Good, Up: 26*time.Hour + passed, Now: time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC).Add(passed)}
	channel := func(protocol string, rate uint64) status.Channel {
		n := rate * (26*3600 + seconds)
		age := 0.2
		return status.Channel{Protocol: protocol, Sent: &n, Delivered: &n, Conflated: new(uint64), Lost: new(uint64),
			Unknown: new(uint64), Complete: status.Of(true), AgeSeconds: &age, SourceState: "up"}
	}
	s.Report.Snapshot = status.Snapshot{Role: "rx", Pair: "press-hall", Version: "1.2.0", Clock: "link", Ready: true,
		UptimeSeconds: s.Up.Seconds(), Replay: &status.Replay{WindowSeconds: 5400, PassSeconds: status.Of(140.0)},
		Link: status.Link{Medium: "uart", Epoch: 7, Frames: 812 * (26*3600 + seconds),
			Bytes:    60_000 * (26*3600 + seconds),
			Repaired: status.Of(41 + seconds/7), Lost: new(uint64), CRCErrors: status.Of(39 + seconds/7),
			LastHeartbeatAgeSeconds: status.Of(0.4)},
		Channels: map[string]status.Channel{"press-line": channel("opcua", 310), "cell-1": channel("mqtt", 24),
			"syslog": channel("syslog", 3)}}
	return s
}
