// Package bootloader reads what a Raspberry Pi's boot loader tells of itself and of
// this start, in the device tree (Raspberry Pi documentation, "Device Tree boot flow
// properties"):
//
//	/proc/device-tree/chosen/bootloader/
//	    build-timestamp   when the EEPROM's boot loader was built, Unix time (Raspberry Pi 4 and newer)
//	    version           its revision, in hexadecimal
//	    tryboot           1: this start is a trial
//
// Numbers are 32 bits, big-endian. It refuses to change anything: the EEPROM is its
// owner's, because a power cut while it is written leaves a board that does not start.
package bootloader

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

const folder = "proc/device-tree/chosen/bootloader"

// maxProperty bounds what is read of a property, in bytes.
const maxProperty = 4 << 10

// TrialSince is when the oldest boot loader was built that starts a trial: the release
// of 2021-03-18.
func TrialSince() time.Time { return time.Date(2021, time.March, 18, 8, 54, 11, 0, time.UTC) }

// Info is what a boot loader tells. The zero value tells nothing, as on an emulator.
type Info struct {
	Built   time.Time // zero: not known; before Raspberry Pi 4 the boot loader is on the card
	Version string    // the first digits of its revision
	Trial   bool      // this start is a trial
}

// Read reads it below the root of a machine's files.
func Read(root fs.FS) Info {
	i := Info{Version: text(root, "version")}
	i.Version = i.Version[:min(len(i.Version), 8)]
	if built := number(root, "build-timestamp"); built != 0 {
		i.Built = time.Unix(int64(built), 0).UTC()
	}
	i.Trial = number(root, "tryboot") == 1
	return i
}

// TooOld reports whether a boot loader is known to be unable to start a trial.
func (i Info) TooOld() bool { return !i.Built.IsZero() && i.Built.Before(TrialSince()) }

// String names the boot loader: "boot loader of 2021-03-18".
func (i Info) String() string {
	if i.Built.IsZero() {
		return "boot loader without a date"
	}
	s := "boot loader of " + i.Built.Format(time.DateOnly)
	if i.Version != "" {
		s += " (" + i.Version + ")"
	}
	return s
}

// Advice says why no update can be tried and what to do; "" where one can.
func (i Info) Advice() string {
	if !i.TooOld() {
		return ""
	}
	return fmt.Sprintf("the %s starts no trial: one of %s or newer does; update it with Raspberry Pi Imager "+
		"(Misc utility images, Bootloader) or rpi-eeprom-update", i, TrialSince().Format(time.DateOnly))
}

// number returns a property, 0 where there is none.
func number(root fs.FS, name string) uint32 {
	b := property(root, name)
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// text returns a property without what a terminal would act on.
func text(root fs.FS, name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(property(root, name)))
}

func property(root fs.FS, name string) []byte {
	f, err := root.Open(folder + "/" + name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, maxProperty)) // what cannot be read is not known
	return b
}
