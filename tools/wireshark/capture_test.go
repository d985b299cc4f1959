package wireshark

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"heliograph/drivers/ethernet"
	"heliograph/firmware/conduit/wire"
)

const port = 4000

func session(t *testing.T) *wire.Session {
	t.Helper()
	s, err := wire.NewSession(wire.PairKey{1, 2, 3}, 7, [16]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hello(s *wire.Session, sequence uint64, zeros int) []byte {
	h := wire.HelloHeader{Session: s.ID, Epoch: s.Epoch, Sequence: sequence, Salt: s.Salt}
	frame := make([]byte, wire.HelloHeaderSize+zeros, wire.MinHello+zeros)
	h.Put(frame)
	return s.Seal(frame, wire.HelloHeaderSize, sequence)
}

func data(s *wire.Session, h wire.Header, shard string) []byte {
	h.Session, h.Lanes = s.ID, max(h.Lanes, 1)
	frame := make([]byte, wire.HeaderSize, wire.Overhead+len(shard))
	h.Put(frame)
	return s.Seal(append(frame, shard...), wire.HeaderSize, uint64(h.Sequence))
}

// frames are of every kind and class, with the bounds of each field.
func frames(s *wire.Session) [][]byte {
	all := [][]byte{hello(s, 1, 0), hello(s, 1<<40+2, 9)}
	sequence := uint32(40)
	add := func(h wire.Header, shard string) {
		h.Sequence = sequence
		sequence++
		all = append(all, data(s, h, shard))
	}
	for i := range uint16(10) {
		add(wire.Header{Kind: wire.Source, Generation: 7, Index: i}, "a record")
	}
	for i := range uint16(6) {
		add(wire.Header{Kind: wire.Parity, Generation: 7, Index: i, Lanes: 3}, "\x00\x0acoded")
	}
	add(wire.Header{Kind: wire.Source, Class: wire.Bulk, Lanes: 128, Generation: 7}, "")
	add(wire.Header{Kind: wire.Parity, Class: wire.Bulk, Lanes: 128, Generation: 7, Index: 0xFFFF}, "\x00\x01")
	for i := range uint16(3) { // the number of a generation begins again
		for index := range i + 1 {
			add(wire.Header{Kind: wire.Source, Class: wire.Replay, Generation: 0xFFFE + i, Index: index}, "again")
		}
	}
	add(wire.Header{Kind: wire.Parity, Class: wire.Replay, Lanes: 16, Index: 17}, "\x00\x03coded")
	sequence = 0xFFFFFFFF
	add(wire.Header{Kind: wire.Source, Generation: 0xFFFF, Index: 0xFFFF}, string(make([]byte, 1400)))
	return all
}

// udp, raw and vlan put a payload into a packet.
func udp(t *testing.T, payload []byte, to uint16) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 1},
		DstIP: []byte{10, 0, 0, 2}}
	u := &layers.UDP{SrcPort: 5000, DstPort: layers.UDPPort(to)}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return packet(t, layers.EthernetTypeIPv4, ip, u, gopacket.Payload(payload))
}

func raw(t *testing.T, frame []byte) []byte {
	return packet(t, ethernet.EtherType, gopacket.Payload(counted(frame, len(frame), 9)))
}

func vlan(t *testing.T, frame []byte) []byte {
	tag := &layers.Dot1Q{VLANIdentifier: 5, Type: ethernet.EtherType}
	return packet(t, layers.EthernetTypeDot1Q, tag, gopacket.Payload(counted(frame, len(frame), 0)))
}

// counted puts the length before a frame, and padding after it.
func counted(frame []byte, length, padding int) []byte {
	body := binary.BigEndian.AppendUint16(nil, uint16(length))
	return append(append(body, frame...), make([]byte, padding)...)
}

func packet(t *testing.T, of layers.EthernetType, inside ...gopacket.SerializableLayer) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: bytes.Repeat([]byte{255}, 6), EthernetType: of}
	b := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{eth}, inside...)
	options := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(b, options, all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// capture writes a file of packets, of which at most snapshot bytes are kept.
func capture(t *testing.T, packets [][]byte, snapshot int) string {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(1<<18, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		kept := p[:min(len(p), snapshot)]
		at := time.Unix(1_700_000_000, int64(i)*1e6)
		info := gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(kept), Length: len(p)}
		if err := w.WritePacket(info, kept); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "capture.pcap")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
