package decode

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
)

// Our own bounds.
const (
	maxPacket = 4 << 20 // bytes of a capture up to the next packet
	etherSize = 2       // of the length before a frame of raw Ethernet
)

// etherType is that of package ethernet, which is for Linux alone.
const etherType = 0x88B5

var (
	errNoCapture = errors.New("not a pcap or pcapng file; for the raw bytes of a UART say --medium uart")
	errLong      = fmt.Errorf("the file is damaged: %d MiB without a packet", maxPacket>>20)
)

// Capture calls show with each frame of a pcap or pcapng file, and returns how
// many packets had none. UDP counts when it begins like a frame; with port,
// only when it goes there.
func (d *Decoder) Capture(file io.Reader, port uint16, show func(Frame) error) (others uint64, err error) {
	guarded := &guard{from: file, left: maxPacket}
	next, err := openCapture(guarded)
	if err != nil {
		return 0, err
	}
	for {
		guarded.left = maxPacket
		p, err := next()
		switch {
		case err == io.EOF:
			return others, nil
		case guarded.left <= 0:
			return others, errLong
		case err != nil:
			return others, fmt.Errorf("the file is damaged or cut: %v", err)
		}
		frame := frameOf(p.data, p.link, port)
		if frame == nil {
			others++
			continue
		}
		for segment := range slices.Chunk(frame, segmentSize(frame)) {
			f := d.Frame(segment)
			f.Time = p.info.Timestamp.UTC()
			if err := show(f); err != nil {
				return others, err
			}
		}
	}
}

// guard ends a read that takes too much: a reader of captures trusts lengths,
// and collects what is not a packet.
type guard struct {
	from io.Reader
	left int
}

func (g *guard) Read(p []byte) (int, error) {
	if g.left <= 0 {
		return 0, errLong
	}
	n, err := g.from.Read(p[:min(len(p), g.left)])
	g.left -= n
	return n, err
}

// captured is one packet of a capture.
type captured struct {
	data []byte
	info gopacket.CaptureInfo
	link layers.LinkType
}

// nextPacket returns io.EOF after the last one.
type nextPacket func() (captured, error)

// openCapture detects the format: pcap or pcapng.
func openCapture(file io.Reader) (nextPacket, error) {
	b := bufio.NewReader(file)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(magic) == 4 && binary.BigEndian.Uint32(magic) == 0x0A0D0D0A {
		r, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, fmt.Errorf("reading the file as pcapng: %v", err)
		}
		return func() (captured, error) {
			data, info, err := r.ReadPacketData()
			link := r.LinkType()
			if len(info.AncillaryData) > 0 {
				link, _ = info.AncillaryData[0].(layers.LinkType)
			}
			return captured{data, info, link}, err
		}, nil
	}
	r, err := pcapgo.NewReader(b)
	if err != nil {
		return nil, errNoCapture
	}
	return func() (captured, error) {
		data, info, err := r.ReadPacketData()
		return captured{data, info, r.LinkType()}, err
	}, nil
}

// frameOf returns the frame in a packet, or nil.
func frameOf(data []byte, link layers.LinkType, port uint16) []byte {
	p := gopacket.NewPacket(data, link, gopacket.DecodeOptions{NoCopy: true})
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.UDP:
			_, err := wire.KindOf(l.Payload)
			if err != nil && port == 0 || port != 0 && uint16(l.DstPort) != port {
				return nil
			}
			return l.Payload
		case *layers.Ethernet:
			if l.EthernetType == etherType {
				return counted(l.Payload)
			}
		case *layers.Dot1Q:
			if l.Type == etherType {
				return counted(l.Payload)
			}
		case *layers.LinuxSLL:
			if l.EthernetType == etherType {
				return counted(l.Payload)
			}
		case *layers.LinuxSLL2: // of all interfaces, by newer versions of tcpdump
			if l.ProtocolType == etherType {
				return counted(l.Payload)
			}
		}
	}
	return nil
}

// segmentSize returns the size of the frames in a packet. A capture on the machine
// that sends shows the datagrams of one call as a single packet (UDP_SEGMENT, udp(7)):
// frames of one size, but for the last. The first of them ends where its CRC is right.
func segmentSize(packet []byte) int {
	if wire.CheckCRC(packet) {
		return max(len(packet), 1)
	}
	for n, sum := 0, uint32(0); n+wire.CRCSize <= len(packet); n++ {
		if n >= wire.HeaderSize && sum == binary.BigEndian.Uint32(packet[n:]) {
			return n + wire.CRCSize
		}
		sum = wire.UpdateCRC(sum, packet[n:n+1])
	}
	return max(len(packet), 1)
}

// counted takes the frame out of raw Ethernet, without the padding. What is cut
// is shown as far as it goes.
func counted(payload []byte) []byte {
	if len(payload) < etherSize {
		return payload
	}
	n := int(binary.BigEndian.Uint16(payload))
	return payload[etherSize:min(etherSize+n, len(payload))]
}

// Line calls show with each frame of a UART's bytes and returns what its outer
// code had to do. A word beyond its repair has no frame to show.
func (d *Decoder) Line(bytes io.Reader, show func(Frame) error) (codeword.Counters, error) {
	b := bufio.NewReader(bytes)
	var offset int64
	var shown error
	deliver := func(frame []byte) {
		f := d.Frame(frame)
		f.Offset = offset
		if shown == nil {
			shown = show(f)
		}
	}
	line := codeword.New(wire.CheckCRC)
	for one := make([]byte, 1); shown == nil; {
		c, err := b.ReadByte()
		if err == io.EOF {
			line.Idle(deliver)
			break
		}
		if err != nil {
			return line.Counters(), err
		}
		offset++
		one[0] = c
		line.Push(one, deliver)
	}
	return line.Counters(), shown
}
