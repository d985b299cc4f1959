package selftest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"heliograph/boards"
	"heliograph/drivers/clock"
	"heliograph/rootfs/bootloader"
)

const (
	dataFolder = "/data"
	leastFree  = 20 // one part in so many
)

// bootLoader checks that an update can be tried.
func (m Machine) bootLoader() Result {
	const check = "the boot loader starts trials of updates"
	info := bootloader.Read(m.Root)
	switch {
	case info.TooOld():
		return Result{check, Fail, info.Advice()}
	case !info.Built.IsZero():
		found := info.String()
		if model, _ := m.read("proc/device-tree/model"); model == "Raspberry Pi 4 Model B Rev 1.0" ||
			model == "Raspberry Pi 4 Model B Rev 1.1" {
			found += "; this revision keeps the trial in its EEPROM, which must not be write-protected"
		}
		return Result{check, Pass, found}
	case slices.Contains(m.Board.Firmware, onCard):
		return Result{check, Pass, "it is on the card, and came with the image"}
	}
	return Result{check, NotProved, "it does not tell when it was built"}
}

// onCard is the boot loader of boards without an EEPROM for it.
const onCard = "bootcode.bin"

// outside checks the interface to the plant or to IT.
func (m Machine) outside() Result {
	const check = "the network interface works"
	name := m.Board.Network.Outside
	if name == "" {
		return Result{check, NotProved, "the configuration names it"}
	}
	state, err := m.read("sys/class/net/" + name + "/operstate")
	if err != nil {
		return Result{check, Fail, name + " is not there: no driver has found it"}
	}
	driver, err := fs.ReadLink(m.Root, "sys/class/net/"+name+"/device/driver")
	if err != nil {
		return notProved(check, err)
	}
	return result(check, state == "up" || state == "unknown",
		fmt.Sprintf("%s is %s, by %s", name, state, path.Base(driver)))
}

// led checks that PID 1 drives an LED's line. Only a person sees whether there is light.
func (m Machine) led(which string, l boards.Line) Result {
	check := "the " + which + " LED's line is driven"
	if l.Chip == "" {
		return Result{check, NotProved, "the board has none of its own"}
	}
	ask := m.Output
	if ask == nil {
		ask = output
	}
	driven, err := ask(l)
	if err != nil {
		return Result{check, Fail, err.Error()}
	}
	return result(check, driven, fmt.Sprintf("%s, line %d: output %t", l.Chip, l.Number, driven))
}

func (m Machine) watchdog() Result {
	const check = "the watchdog is armed"
	if m.Board.Watchdog == "" {
		return Result{check, NotProved, "this board has none that may be armed"}
	}
	folder := "sys/class/watchdog/" + path.Base(m.Board.Watchdog)
	state, err := m.read(folder + "/state")
	if err != nil {
		if _, err := fs.Stat(m.Root, folder); err == nil {
			return Result{check, NotProved, "the kernel shows no state; the drill on the console shows it (key w)"}
		}
		return Result{check, Fail, err.Error()}
	}
	timeout, _ := m.read(folder + "/timeout")
	return result(check, state == "active", fmt.Sprintf("%s, time-out %s s", state, timeout))
}

func (m Machine) clock() Result {
	const check = "the time of day is known"
	timed := m.Timed
	if timed == nil {
		timed = clock.Synchronized
	}
	if !timed() {
		return Result{check, NotProved, "neither an NTP server nor a transmitter has given it yet"}
	}
	return Result{check, Pass, "the clock is kept"}
}

func (m Machine) rtc() Result {
	const check = "a clock that runs without power"
	name, err := m.read("sys/class/rtc/rtc0/name")
	if err != nil {
		return Result{check, NotProved, "none: the time of day comes from NTP or the link"}
	}
	return Result{check, Pass, name}
}

// data checks the data partition: its journal, and what the kernel found wrong
// with it (Linux, Documentation/filesystems/ext4: errors_count).
func (m Machine) data() Result {
	const check = "the data partition has a journal and no errors"
	mounts, err := m.read("proc/mounts")
	if err != nil {
		return notProved(check, err)
	}
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 || f[1] != dataFolder {
			continue
		}
		if f[2] != "ext4" || strings.Contains(f[3], "noload") {
			return Result{check, Fail, strings.Join(f[:4], " ")}
		}
		errors, err := m.read("sys/fs/ext4/" + path.Base(f[0]) + "/errors_count")
		if err != nil {
			return notProved(check, err)
		}
		return result(check, errors == "0", fmt.Sprintf("%s, %s, errors: %s", f[0], f[3], errors))
	}
	return Result{check, Fail, dataFolder + " is not mounted: what is acknowledged would be lost"}
}

func (m Machine) room() Result {
	const check = "the data partition has room"
	ask := m.Room
	if ask == nil {
		ask = room
	}
	free, size, err := ask(dataFolder)
	if err != nil {
		return notProved(check, err)
	}
	return result(check, free > size/leastFree, fmt.Sprintf("%d of %d MB free", free>>20, size>>20))
}

// hottest is where a Pi begins to slow down (raspberrypi.com, frequency
// management and thermal control).
const hottest = 80

func (m Machine) temperature() Result {
	const check = "the processor's temperature"
	text, err := m.read("sys/class/thermal/thermal_zone0/temp")
	if err != nil {
		return Result{check, NotProved, "no sensor"}
	}
	milli, err := strconv.Atoi(text)
	if err != nil {
		return notProved(check, err)
	}
	return result(check, milli < hottest*1000, fmt.Sprintf("%d °C, slows down at %d", milli/1000, hottest))
}
