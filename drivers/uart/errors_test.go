package uart

import (
	"math"
	"testing"
	"unsafe"

	"heliograph/drivers/drivertest"
)

func TestLineErrorsAreReadWhereTheKernelPutsThem(t *testing.T) {
	var fields [20]int32 // in the order of struct serial_icounter_struct
	for i := range fields {
		fields[i] = int32(i)
	}
	if got, want := unsafe.Sizeof(icounter{}), unsafe.Sizeof(fields); got != want {
		t.Fatalf("got %d bytes, want the kernel's %d", got, want)
	}
	got := (*icounter)(unsafe.Pointer(&fields)).errors()
	if want := (lineErrors{frame: 6, overrun: 7, parity: 8, breaks: 9, bufferOverrun: 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLineErrorsOfAllOpeningsAddUp(t *testing.T) {
	one, other := LineErrors{1, 2, 3, 4, 5}, LineErrors{10, 20, 30, 40, 50}
	if got, want := one.plus(other), (LineErrors{11, 22, 33, 44, 55}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLineErrorsCountFromTheOpening(t *testing.T) {
	before := lineErrors{overrun: math.MaxUint32, frame: 5, parity: 7, breaks: 0, bufferOverrun: 9}
	now := lineErrors{overrun: 2, frame: 8, parity: 7, breaks: 1, bufferOverrun: 19}
	if got, want := now.since(before), (LineErrors{Overrun: 3, Frame: 3, Break: 1, BufferOverrun: 10}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestAPortThatDoesNotCountHasNoCounters(t *testing.T) {
	_, path := drivertest.OpenPTY(t)
	r, _, err := OpenReceiver(path, 115200)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := r.Counts(); got != nil {
		t.Errorf("a pty: got %+v, want nil", got)
	}
}
