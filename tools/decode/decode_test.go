package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"heliograph/firmware/conduit/codeword"
	"heliograph/firmware/conduit/wire"
	"heliograph/firmware/tx/replay"
	"heliograph/firmware/tx/send"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	t0  = time.Unix(1_700_000_000, 0).UTC()
	key = wire.PairKey{1, 2, 3}
)

// transmitted is what a transmitter sends in its first second and a half.
func transmitted(t testing.TB, p wire.Profile) (frames [][]byte, at []time.Time) {
	t.Helper()
	session, err := wire.NewSession(key, 7, [16]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	window, err := replay.New(replay.Config{Epoch: 7, Limit: 1 << 20, Start: t0})
	if err != nil {
		t.Fatal(err)
	}
	m := send.NewMux(send.MuxConfig{Room: p.Payload(), CarouselShare: 0.1, Start: t0, Replay: window})
	m.SetClock(true)
	fast, slow := m.Channel("press", wire.LowLatency), m.Channel("log", wire.Bulk)
	for _, put := range []struct {
		c *send.Channel
		r send.Record
	}{
		{fast, send.Record{Key: []byte("press/force"), Payload: []byte("412.5"), Time: t0.UnixNano()}},
		{fast, send.Record{Key: []byte("a \"key\"\n"), Delete: true}},
		{slow, send.Record{Payload: []byte{0, 255, '\n'}, Event: true}},
		{slow, send.Record{Payload: bytes.Repeat([]byte("long "), 500), Event: true}},
	} {
		if _, err := m.Put(put.c, put.r); err != nil {
			t.Fatal(err)
		}
	}
	m.Describe(fast, 1, "")
	m.Describe(slow, 2, "no route to host")
	m.SetComplete(fast, true)
	s := send.NewSender(m, p, 1e6, 0.1, session)
	for now := t0; now.Before(t0.Add(1500 * time.Millisecond)); now = now.Add(time.Millisecond) {
		if now.Equal(t0.Add(100 * time.Millisecond)) {
			if _, err := m.Put(fast, send.Record{Key: []byte("press/force"), Payload: []byte("413"),
				Time: now.UnixNano()}); err != nil {
				t.Fatal(err)
			}
		}
		made, _, err := s.Frames(now, 20_000, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range made {
			frames, at = append(frames, bytes.Clone(f)), append(at, now)
		}
		s.Sent()
	}
	return frames, at
}

// udp and raw put a frame into a packet.
func udp(t testing.TB, frame []byte) []byte {
	ip := &layers.IPv4{Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 0, 0, 1},
		DstIP: []byte{10, 0, 0, 2}}
	u := &layers.UDP{SrcPort: 5000, DstPort: 4000}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return packet(t, layers.EthernetTypeIPv4, ip, u, gopacket.Payload(frame))
}

func raw(t testing.TB, frame []byte) []byte {
	body := append(binary.BigEndian.AppendUint16(nil, uint16(len(frame))), frame...)
	return packet(t, etherType, gopacket.Payload(append(body, make([]byte, 9)...)))
}

func packet(t testing.TB, of layers.EthernetType, inside ...gopacket.SerializableLayer) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: bytes.Repeat([]byte{255}, 6), EthernetType: of}
	b := gopacket.NewSerializeBuffer()
	all := append([]gopacket.SerializableLayer{eth}, inside...)
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		all...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file makes a capture of packets.
func file(t testing.TB, packets [][]byte, at []time.Time, ng bool) []byte {
	t.Helper()
	var b bytes.Buffer
	write, flush := pcap(t, &b)
	if ng {
		w, err := pcapgo.NewNgWriter(&b, layers.LinkTypeEthernet)
		if err != nil {
			t.Fatal(err)
		}
		write, flush = w.WritePacket, w.Flush
	}
	for i, p := range packets {
		if err := write(gopacket.CaptureInfo{Timestamp: at[i], CaptureLength: len(p), Length: len(p)}, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pcap(t testing.TB, b *bytes.Buffer) (write func(gopacket.CaptureInfo, []byte) error, flush func() error) {
	var w *pcapgo.Writer
	return func(info gopacket.CaptureInfo, p []byte) error {
		if w == nil {
			w = pcapgo.NewWriter(b)
			if err := w.WriteFileHeader(65535, layers.LinkTypeEthernet); err != nil {
				t.Fatal(err)
			}
		}
		return w.WritePacket(info, p)
	}, func() error { return nil }
}

func text(to *strings.Builder) func(Frame) error {
	return func(f Frame) error {
		to.WriteString(f.Text() + "\n")
		return nil
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// TestGolden reads one transmission off each medium.
func TestGolden(t *testing.T) {
	frames, at := transmitted(t, wire.DatagramProfile(1400, 66))
	wrap := func(f func(testing.TB, []byte) []byte) (out [][]byte) {
		for _, frame := range frames {
			out = append(out, f(t, frame))
		}
		return out
	}
	other := packet(t, layers.EthernetTypeARP, gopacket.Payload(make([]byte, 46)))
	withOther := append(wrap(udp), other)
	for name, c := range map[string]struct {
		file   []byte
		key    *wire.PairKey
		others uint64
		golden string
	}{
		"udp with the key":     {file(t, withOther, append(at, t0), false), &key, 1, "testdata/key.txt"},
		"raw Ethernet, pcapng": {file(t, wrap(raw), at, true), &key, 0, "testdata/key.txt"},
		"without a key":        {file(t, wrap(udp), at, false), nil, 0, "testdata/plain.txt"},
		"wrong key":            {file(t, wrap(raw), at, false), &wire.PairKey{4}, 0, "testdata/wrong.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			var got strings.Builder
			others, err := New(c.key).Capture(bytes.NewReader(c.file), 0, text(&got))
			if err != nil || others != c.others {
				t.Errorf("got %d others, %v; want %d, nil", others, err, c.others)
			}
			golden(t, c.golden, got.String())
		})
	}
}

func TestGoldenLine(t *testing.T) {
	frames, _ := transmitted(t, wire.UARTProfile(921600))
	line := []byte("noise")
	for _, f := range frames {
		line = codeword.Encode(line, f)
	}
	line[200] ^= 1
	var got strings.Builder
	counts, err := New(&key).Line(bytes.NewReader(line), text(&got))
	if err != nil || counts.Frames != uint64(len(frames)) || counts.CorrectedSymbols != 1 {
		t.Errorf("got %+v, %v; want %d frames with one symbol corrected", counts, err, len(frames))
	}
	golden(t, "testdata/uart.txt", got.String())
}

func TestWhatIsBrokenIsCalledSo(t *testing.T) {
	frames, _ := transmitted(t, wire.DatagramProfile(1400, 66))
	hello, source := frames[0], frames[8]
	forged := bytes.Clone(source)
	forged[20] ^= 1
	for name, c := range map[string]struct {
		before   []byte
		frame    []byte
		crc, tag string
	}{
		"whole":         {hello, source, OK, OK},
		"flipped bit":   {hello, forged, Bad, Untried},
		"forged":        {hello, wire.AppendCRC(bytes.Clone(forged[:len(forged)-wire.CRCSize])), OK, Bad},
		"before hello":  {nil, source, OK, NoHello},
		"cut":           {hello, source[:60], Bad, Untried},
		"another thing": {hello, []byte("GET / HTTP/1.1\r\n"), Bad, ""},
		"nothing":       {hello, nil, Bad, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(&key)
			d.Frame(c.before)
			if got := d.Frame(c.frame); got.CRC != c.crc || got.Tag != c.tag {
				t.Errorf("got crc %q, tag %q; want %q, %q", got.CRC, got.Tag, c.crc, c.tag)
			}
		})
	}
}

func TestSequenceIsWholeBeyond32Bits(t *testing.T) {
	s, err := wire.NewSession(key, 7, [16]byte{9})
	if err != nil {
		t.Fatal(err)
	}
	const late = 1<<32 + 5
	h := wire.HelloHeader{Session: s.ID, Epoch: 7, Sequence: late - 10, Salt: [16]byte{9}}
	hello := make([]byte, wire.HelloHeaderSize, wire.MinHello)
	h.Put(hello)
	d := New(&key)
	d.Frame(s.Seal(hello, wire.HelloHeaderSize, h.Sequence))
	dh := wire.Header{Kind: wire.Source, Lanes: 1, Session: s.ID, Sequence: late & 0xFFFFFFFF}
	frame := make([]byte, wire.HeaderSize, wire.Overhead)
	dh.Put(frame)
	if got := d.Frame(s.Seal(frame, wire.HeaderSize, late)); got.Tag != OK || got.Sequence != late {
		t.Errorf("got tag %q, sequence %d; want ok, %d", got.Tag, got.Sequence, uint64(late))
	}
}

func TestSessionsAreBounded(t *testing.T) {
	d := New(&key)
	for epoch := range uint64(3 * maxSessions) {
		s, err := wire.NewSession(key, epoch, [16]byte{})
		if err != nil {
			t.Fatal(err)
		}
		h := wire.HelloHeader{Session: s.ID, Epoch: epoch, Sequence: 1}
		frame := make([]byte, wire.HelloHeaderSize, wire.MinHello)
		h.Put(frame)
		if got := d.Frame(s.Seal(frame, wire.HelloHeaderSize, 1)); got.Tag != OK {
			t.Errorf("epoch %d: got %q, want ok", epoch, got.Tag)
		}
	}
	if len(d.sessions) != maxSessions {
		t.Errorf("got %d sessions, want %d", len(d.sessions), maxSessions)
	}
}

func TestTextOfTheLinkIsPrintableAndBounded(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                  "plain",
		`ends with "`:            `ends with \"`,
		"\x1b[2J\r\n":            `\x1b[2J\r\n`,
		"Öl":                     `\u00d6l`,
		strings.Repeat("a", 100): strings.Repeat("a", maxExcerpt) + "...",
	} {
		if got := printable([]byte(in), maxExcerpt); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// endless is a file that never holds a packet.
type endless struct{ head []byte }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	clear(p[n:])
	return len(p), nil
}

func TestHostileFiles(t *testing.T) {
	frames, at := transmitted(t, wire.DatagramProfile(1400, 66))
	classic := file(t, [][]byte{udp(t, frames[0])}, at, false)
	huge := bytes.Clone(classic)
	binary.LittleEndian.PutUint32(huge[16:], 0xFFFFFFFF) // snapshot length
	binary.LittleEndian.PutUint32(huge[32:], 0xFFFFFFF0) // captured length
	binary.LittleEndian.PutUint32(huge[36:], 0xFFFFFFF0)
	ng := file(t, [][]byte{udp(t, frames[0])}, at, true)
	block := binary.LittleEndian.AppendUint32(bytes.Clone(ng), 0x0BAD) // an unknown block
	block = binary.LittleEndian.AppendUint32(block, 0xFFFFFFF0)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":              {nil, "not a pcap"},
		"text":               {[]byte("a text that is not a capture"), "not a pcap"},
		"cut in a packet":    {classic[:60], "damaged or cut"},
		"packet of 4 GiB":    {huge, "damaged or cut"},
		"cut head of pcapng": {ng[:20], "pcapng"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(nil).Capture(bytes.NewReader(c.file), 0, func(Frame) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
	for name, head := range map[string][]byte{"endless packet": huge, "endless block": block} {
		t.Run(name, func(t *testing.T) {
			_, err := New(nil).Capture(&endless{head}, 0, func(Frame) error { return nil })
			if !errors.Is(err, errLong) {
				t.Errorf("got %v, want %v", err, errLong)
			}
		})
	}
}

// FuzzCapture: no file makes it panic, and each frame is one line, its records
// one more each.
func FuzzCapture(f *testing.F) {
	frames, at := transmitted(f, wire.DatagramProfile(1400, 66))
	f.Add(file(f, [][]byte{udp(f, frames[0]), raw(f, frames[8])}, at, false))
	f.Add(file(f, [][]byte{raw(f, frames[0]), udp(f, frames[9])}, at, true))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = New(&key).Capture(bytes.NewReader(data), 0, func(f Frame) error {
			if got := strings.Count(f.Text(), "\n"); got != len(f.Records) {
				t.Errorf("got %d line ends, want %d", got, len(f.Records))
			}
			return nil
		})
	})
}

// FuzzRecords: opened bytes of any kind are shown, on one line each.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{0x0b, 4, 0, 1, 2, 1})
	f.Fuzz(func(t *testing.T, plain []byte) {
		frame := Frame{Records: records(plain, item)}
		got := frame.Text()
		if strings.Count(got, "\n") != len(frame.Records) ||
			strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }) {
			t.Errorf("got %q, want %d lines of printable ASCII", got, len(frame.Records))
		}
	})
}
