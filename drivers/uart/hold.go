package uart

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	// unboundMask says on which processors the kernel runs work that may run on any:
	// a hexadecimal mask (Documentation/core-api/workqueue.rst).
	unboundMask = "/sys/devices/virtual/workqueue/cpumask"
	firstOnly   = "1"
	// highest is above every thread that the kernel runs by default.
	highest = 99
)

// hold keeps the kernel from handling what a port receives until release is called:
// that work may run on the first processor alone, and the calling thread has this
// processor to itself, as long as it does not sleep. Interrupts go on; what arrives
// waits in the port's buffer. It needs root, and goes without what is refused: a port that
// may echo for a few microseconds is better than none.
func hold() (release func()) {
	runtime.LockOSThread()
	var undo []func()
	if old, err := os.ReadFile(unboundMask); err == nil && writeMask(firstOnly) == nil {
		undo = append(undo, func() { _ = writeMask(string(old)) })
	}
	var processors, first unix.CPUSet
	first.Set(0)
	if unix.SchedGetaffinity(0, &processors) == nil && unix.SchedSetaffinity(0, &first) == nil {
		undo = append(undo, func() { _ = unix.SchedSetaffinity(0, &processors) })
	}
	if old, err := unix.SchedGetAttr(0, 0); err == nil {
		alone := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: highest,
			Flags: unix.SCHED_FLAG_RESET_ON_FORK}
		if unix.SchedSetAttr(0, &alone, 0) == nil {
			undo = append(undo, func() { _ = unix.SchedSetAttr(0, old, 0) })
		}
	}
	// A signal would let the Go scheduler in.
	var all, before unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^all.Val[i]
	}
	if unix.PthreadSigmask(unix.SIG_SETMASK, &all, &before) == nil {
		undo = append(undo, func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil) })
	}
	return func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
		runtime.UnlockOSThread()
	}
}

func writeMask(mask string) error {
	f, err := os.OpenFile(unboundMask, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(mask)
	if closed := f.Close(); err == nil {
		err = closed
	}
	return err
}
