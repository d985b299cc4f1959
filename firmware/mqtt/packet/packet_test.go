package packet_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"heliograph/firmware/mqtt/packet"
)

func TestHeaders(t *testing.T) {
	for _, test := range []struct {
		name string
		in   []byte
		kind byte
		size int64
		err  error
	}{
		{"no body", []byte{0xd0, 0}, packet.Pingresp, 0, nil},
		{"one byte of length", []byte{0x20, 0x7f}, packet.Connack, 127, nil},
		{"two", []byte{0x31, 0x80, 1}, packet.Publish, 128, nil},
		{"four, the largest", []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, packet.Publish, 268_435_455, nil},
		{"five", []byte{0x30, 0xff, 0xff, 0xff, 0xff}, 0, 0, packet.ErrLength},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h packet.Header
			for i, b := range test.in {
				done, err := h.Add(b)
				if last := i == len(test.in)-1; done != (last && test.err == nil) || last && !errors.Is(err, test.err) {
					t.Fatalf("byte %d: got %v, %v", i, done, err)
				}
			}
			if test.err == nil && (h.Type() != test.kind || h.Size() != test.size || h.First() != test.in[0] ||
				!bytes.Equal(h.Bytes(), test.in)) {
				t.Errorf("got type %d, %d bytes, % x", h.Type(), h.Size(), h.Bytes())
			}
		})
	}
}

func TestFollowerRefusesWhatItsLimitsExclude(t *testing.T) {
	limits := packet.Limits{Types: 1<<packet.Puback | 1<<packet.Pingresp, Size: 100}
	for _, test := range []struct {
		name, in string
		want     error
	}{
		{"expected", "\x40\x02\x00\x01\xd0\x00", nil},
		{"a type, at its first byte", "\x30", packet.ErrType},
		{"a type behind another packet", "\xd0\x00\x20", packet.ErrType},
		{"a size, at the end of the header", "\x40\x65", packet.ErrSize},
		{"a length without end", "\x40\xff\xff\xff\xff", packet.ErrLength},
	} {
		f := packet.Follower{Limits: limits}
		if err := f.Follow([]byte(test.in)); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestFollowerReportsEachPacket(t *testing.T) {
	var got []string
	stop := errors.New("stop")
	f := packet.Follower{
		Limits: packet.Limits{Types: 0xffff, Size: 1000},
		Began: func(h *packet.Header) error {
			if h.Type() == packet.Disconnect {
				return stop
			}
			got = append(got, fmt.Sprintf("began %d %d", h.Type(), h.Size()))
			return nil
		},
		Body:  func(h *packet.Header, part []byte) { got = append(got, fmt.Sprintf("body %d %s", h.Type(), part)) },
		Ended: func(h *packet.Header) { got = append(got, fmt.Sprintf("ended %d %d", h.Type(), h.Size())) },
	}
	if err := f.Follow([]byte("\x30\x03abc\xd0\x00\x40\x02xx\xe0\x00")); !errors.Is(err, stop) {
		t.Errorf("got %v, want the error of Began", err)
	}
	want := "began 3 3, body 3 abc, ended 3 3, began 13 0, began 4 2, body 4 xx, ended 4 2"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestFollowingDoesNotAllocate(t *testing.T) {
	f := packet.Follower{Limits: packet.Limits{Types: 0xffff, Size: 1000}}
	b := bytes.Repeat([]byte("\x30\x03abc"), 100)
	if got := testing.AllocsPerRun(100, func() { _ = f.Follow(b) }); got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}

// FuzzFollower checks that what passes is a run of packets within the limits,
// however the stream is cut.
func FuzzFollower(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x30, 3, 0, 1, 'a'}, uint8(1))
	f.Add([]byte{0x40, 0x85, 0, 0, 1, 0, 0, 0}, uint8(3))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x7f}, uint8(2))
	limits := packet.Limits{Types: 1<<packet.Connack | 1<<packet.Publish | 1<<packet.Puback | 1<<packet.Pingresp,
		Size: 64 << 10}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		whole, pieces := packet.Follower{Limits: limits}, packet.Follower{Limits: limits}
		want := whole.Follow(b)
		var got error
		for rest := b; len(rest) > 0 && got == nil; {
			n := min(len(rest), int(cut)+1)
			got = pieces.Follow(rest[:n])
			rest = rest[n:]
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got %v in pieces of %d, want %v as in one", got, int(cut)+1, want)
		}
		if want != nil {
			if !errors.Is(want, packet.ErrType) && !errors.Is(want, packet.ErrSize) &&
				!errors.Is(want, packet.ErrLength) {
				t.Fatalf("got %v, want a limit", want)
			}
			return
		}
		for r := bytes.NewReader(b); r.Len() > 0; {
			at := len(b) - r.Len()
			kind, size, err := read(r)
			if err != nil {
				return // the last one is incomplete
			}
			if limits.Types>>kind&1 == 0 || size > limits.Size {
				t.Fatalf("at %d: passed type %d with %d bytes", at, kind, size)
			}
		}
	})
}

// read reads one packet in another way than the package does.
func read(r *bytes.Reader) (kind byte, size int64, err error) {
	first, err := r.ReadByte()
	for shift := 0; err == nil; shift += 7 {
		var b byte
		if b, err = r.ReadByte(); err == nil {
			if size |= int64(b&0x7f) << shift; b&0x80 == 0 {
				break
			}
		}
	}
	if err != nil || size > int64(r.Len()) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	_, err = r.Seek(size, io.SeekCurrent)
	return first >> 4, size, err
}
