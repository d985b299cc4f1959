package udp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message returns one control message as the kernel lays it out.
func message(level, kind int32, length int, data ...byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = level, kind
	h.SetLen(length)
	copy(b[unix.CmsgLen(0):], data)
	return b
}

func TestSegmentLengthIsFound(t *testing.T) {
	size := binary.NativeEndian.AppendUint32(nil, 1400)
	gro := message(unix.SOL_UDP, unix.UDP_GRO, unix.CmsgLen(4), size...)
	other := message(unix.SOL_SOCKET, unix.SO_TIMESTAMP, unix.CmsgLen(16), make([]byte, 16)...)
	for name, c := range map[string]struct {
		control []byte
		want    int
	}{
		"alone":              {gro, 1400},
		"after another":      {slices.Concat(other, gro), 1400},
		"none":               {nil, 0},
		"another only":       {other, 0},
		"cut short":          {gro[:unix.SizeofCmsghdr+2], 0},
		"length too small":   {message(unix.SOL_UDP, unix.UDP_GRO, 3, size...), 0},
		"length too large":   {message(unix.SOL_UDP, unix.UDP_GRO, 4000, size...), 0},
		"no room for an int": {message(unix.SOL_UDP, unix.UDP_GRO, unix.CmsgLen(2), 1, 2), 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := segment(c.control); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// For any segment length that a message claims, its bytes come out once, in order.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("abcdefgh"), 3)
	f.Add([]byte{}, 0)
	f.Add(make([]byte, 3000), 0)
	f.Add(make([]byte, 3000), -1)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if len(data) > messageRoom {
			data = data[:messageRoom]
		}
		var r Receiver
		var got []byte
		r.split(data, size, func(frame []byte) {
			if len(frame) > MaxFrame {
				t.Fatalf("delivered %d bytes, want at most %d", len(frame), MaxFrame)
			}
			got = append(got, frame...)
		})
		if r.Oversize() == 0 && !bytes.Equal(got, data) {
			t.Errorf("got %d bytes, want the %d that came", len(got), len(data))
		}
	})
}

func TestRunsKeepTheKernelsLimits(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int
		room  int
		want  int
	}{
		"equal":             {[]int{9, 9, 9}, 100, 3},
		"shorter ends":      {[]int{9, 9, 8, 8}, 100, 3},
		"longer ends":       {[]int{9, 10}, 100, 1},
		"empty ends":        {[]int{9, 0}, 100, 1},
		"empty first":       {[]int{0, 0}, 100, 1},
		"64 segments":       {slices.Repeat([]int{10}, 100), 100, 64},
		"65000 bytes":       {slices.Repeat([]int{1472}, 100), 100, 44},
		"room for vectors":  {slices.Repeat([]int{10}, 100), 5, 5},
		"room for only one": {slices.Repeat([]int{10}, 100), 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := run(numbered(c.sizes...), c.room); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
