// Package machine says how the machine under a role does: temperature, supply, card.
//
// On a Linux host a role reads the files below itself. On a board its sandbox opens
// nothing of /sys: PID 1 reads them, adds what its LED shows, what came of RX's newest reverse
// probe or what TX's end of the link has received, and writes File every other second, one
// JSON object of Facts of at most 4 KiB.
//
//	/proc/uptime                                  time since the start
//	/sys/class/thermal/thermal_zone0/temp         thousandths of a degree Celsius
//	/sys/class/hwmon/hwmon*/in0_lcrit_alarm       of the one named rpi_volt: supply below 4.63 V in the last 2 s
//	/sys/devices/platform/soc*/soc*:firmware/get_throttled   where there is none: bit 0 now, bit 16 since the start
//	/sys/dev/block/MAJOR:MINOR/stat               sectors written to the disk of the state
//	/sys/dev/block/MAJOR:MINOR/device/life_time   of an eMMC: its wear in tenths (JESD84-B51 §7.4.36)
//
// What a machine does not have is left out. The package refuses to change anything of the
// machine.
package machine

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"heliograph/firmware/platform/store"
)

// File is where PID 1 publishes Facts to the role. It is replaced atomically.
const File = "/run/release/board.json"

const (
	maxFile = 4 << 10 // bytes
	stale   = time.Minute
)

// Facts describe the state of a machine. A zero value means not known.
type Facts struct {
	Name          string    `json:"name,omitempty"`                // host name
	UptimeSeconds float64   `json:"uptime_seconds,omitempty"`      // since the machine's start; of TX, at RX, in whole minutes
	Temperature   *float64  `json:"temperature_celsius,omitempty"` // of the processor
	Supply        string    `json:"supply,omitempty"`              // "ok", "under-voltage now", "under-voltage since boot"
	Card          string    `json:"card,omitempty"`                // wear of the disk of the state, and what was written to it
	LED           *LED      `json:"led,omitempty"`                 // what the heartbeat LED of a board shows
	Received      *Received `json:"link_received,omitempty"`       // what the link of a transmitting board has received
	Probe         *Probe    `json:"reverse_probe,omitempty"`       // the newest of a receiving board
}

// The states of the supply.
const (
	Fine      = "ok"
	LowNow    = "under-voltage now"
	LowBefore = "under-voltage since boot"
)

// LED is what the heartbeat LED of a board shows, in words.
type LED struct {
	Pattern string `json:"pattern"` // "5 flashes"
	Means   string `json:"means"`   // of the board: "has lost the link"
}

// Write publishes facts to the role.
func Write(file string, f Facts) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return store.ReplaceFile(file, 0o644, b)
}

// Read reads what PID 1 has published; the zero Facts when it has not, or a minute ago.
func Read(file string) (f Facts) {
	from, err := os.Open(file)
	if err != nil {
		return f
	}
	defer from.Close()
	if info, err := from.Stat(); err != nil || time.Since(info.ModTime()) > stale {
		return f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxFile))
	if err != nil || json.Unmarshal(b, &f) != nil {
		return Facts{}
	}
	return f
}
