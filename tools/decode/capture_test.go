package decode

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"heliograph/firmware/conduit/wire"
)

// crcFrame returns n bytes that look like a hello frame, with a CRC.
func crcFrame(n int, fill byte) []byte {
	head := wire.HelloHeader{Sequence: uint64(fill)}
	f := bytes.Repeat([]byte{fill}, n-wire.CRCSize)
	head.Put(f)
	return wire.AppendCRC(f)
}

// TestDatagramsOfOneCallAreTakenApart: a capture on the sending machine shows them
// as one packet.
func TestDatagramsOfOneCallAreTakenApart(t *testing.T) {
	damaged := crcFrame(400, 3)
	damaged[100] ^= 1
	for name, c := range map[string]struct {
		segments [][]byte
		want     []string // CRC of each frame
	}{
		"one": {[][]byte{crcFrame(400, 1)}, []string{OK}},
		"three and a shorter one": {[][]byte{crcFrame(400, 1), crcFrame(400, 2), crcFrame(400, 3), crcFrame(90, 4)},
			[]string{OK, OK, OK, OK}},
		"one of them damaged": {[][]byte{crcFrame(400, 1), damaged, crcFrame(400, 4)}, []string{OK, Bad, OK}},
		"damaged alone":       {[][]byte{damaged}, []string{Bad}},
	} {
		t.Run(name, func(t *testing.T) {
			capture := file(t, [][]byte{udp(t, slices.Concat(c.segments...))}, []time.Time{time.Unix(1, 0)}, false)
			var got []string
			_, err := New(nil).Capture(bytes.NewReader(capture), 0, func(f Frame) error {
				got = append(got, f.CRC)
				return nil
			})
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("frames %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

// TestAFrameOverEthernetIsFoundInEachKindOfCapture: tcpdump -i any writes a header of its own, of two versions.
func TestAFrameOverEthernetIsFoundInEachKindOfCapture(t *testing.T) {
	frame := crcFrame(400, 1)
	own := binary.BigEndian.AppendUint16(nil, uint16(etherType))
	payload := append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))), frame...)
	for name, c := range map[string]struct {
		link   layers.LinkType
		header []byte
	}{
		"one interface":               {layers.LinkTypeEthernet, make([]byte, 12)},
		"a VLAN":                      {layers.LinkTypeEthernet, append(make([]byte, 12), 0x81, 0, 0, 7)},
		"all interfaces":              {layers.LinkTypeLinuxSLL, append([]byte{0, 0, 0, 1, 0, 6}, make([]byte, 8)...)},
		"all interfaces, version two": {layers.LinkTypeLinuxSLL2, nil},
	} {
		packet := slices.Concat(c.header, own, payload)
		if c.link == layers.LinkTypeLinuxSLL2 {
			packet = slices.Concat(own, make([]byte, 18), payload)
		}
		if got := frameOf(packet, c.link, 0); !bytes.Equal(got, frame) {
			t.Errorf("%s: got %d bytes %.8x, want %d", name, len(got), got, len(frame))
		}
	}
}
