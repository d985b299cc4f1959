package clock

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kernel notes what it is asked for.
type kernel struct {
	asked  []unix.Timex
	status int32 // what it says of itself
	fault  error
}

func (k *kernel) adjust(t *unix.Timex) (int, error) {
	k.asked = append(k.asked, *t)
	t.Status = k.status
	return 0, k.fault
}

func TestSlewAsksForMicroseconds(t *testing.T) {
	for offset, want := range map[time.Duration]int64{1500 * time.Microsecond: 1500, -500 * time.Millisecond: -500_000,
		999 * time.Nanosecond: 0} {
		k := &kernel{}
		if err := slew(k.adjust, offset); err != nil || len(k.asked) != 1 || k.asked[0].Modes != modeSingleShot ||
			int64(k.asked[0].Offset) != want {
			t.Errorf("%v: got %+v, %v; want one call with the offset %d µs", offset, k.asked, err, want)
		}
	}
}

func TestConfirmTakesTheUnsyncBitAwayAndLeavesTheOthers(t *testing.T) {
	const other = 0x0010 // STA_INS
	k := &kernel{status: statusUnsync | other}
	if err := confirm(k.adjust, 50*time.Millisecond); err != nil || len(k.asked) != 2 {
		t.Fatalf("got %d calls, %v; want two", len(k.asked), err)
	}
	if got := k.asked[0]; got != (unix.Timex{}) {
		t.Errorf("first: got %+v, want nothing changed", got)
	}
	if got := k.asked[1]; got.Status != other || got.Maxerror != 50_000 || got.Esterror != 50_000 ||
		got.Modes != modeStatus|modeMaxError|modeEstError {
		t.Errorf("second: got %+v, want status %#x and errors of 50 000 µs", got, other)
	}
}

func TestAClockThatCannotBeSetIsAnError(t *testing.T) {
	k := &kernel{fault: unix.EPERM}
	if err := slew(k.adjust, time.Second); !errors.Is(err, unix.EPERM) {
		t.Errorf("slew: got %v, want EPERM", err)
	}
	if err := confirm(k.adjust, time.Second); !errors.Is(err, unix.EPERM) {
		t.Errorf("confirm: got %v, want EPERM", err)
	}
}
