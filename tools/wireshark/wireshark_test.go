package wireshark

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"

	"heliograph/ci/golden"
	"heliograph/firmware/conduit/wire"
	"heliograph/tools/decode"
)

const whole = 1 << 18

// tshark reads a capture, with -2 in two passes as Wireshark does, and returns what it
// prints.
func tshark(t *testing.T, file string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("not proved: what Wireshark shows, because tshark is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	args = append([]string{"-n", "-X", "lua_script:heliograph.lua", "-r", file}, args...)
	c := exec.CommandContext(ctx, path, args...)
	var out, messages bytes.Buffer
	c.Env = append(os.Environ(), "HOME="+t.TempDir(), "WIRESHARK_CONFIG_DIR="+t.TempDir(), "TZ=UTC", "LC_ALL=C.UTF-8")
	c.Stdout, c.Stderr = &out, &messages
	if err := c.Run(); err != nil {
		t.Fatalf("tshark: %v: %s", err, messages.String())
	}
	for _, text := range []string{out.String(), messages.String()} {
		if strings.Contains(text, "Lua Error") || strings.Contains(text, "heliograph.lua:") {
			t.Fatalf("the script fails: %s", text)
		}
	}
	return out.String()
}

// columns are the fields that the Go decoder has as well.
var columns = []string{"size", "kind", "class", "session", "sequence", "generation", "index", "row", "lane", "lanes",
	"epoch", "crc.status"}

// fields returns columns of each packet, as lists.
func fields(t *testing.T, file string, args ...string) [][]string {
	t.Helper()
	args = append(args, "-2", "-T", "fields", "-E", "aggregator=,")
	for _, c := range columns {
		args = append(args, "-e", "heliograph."+c)
	}
	var packets [][]string
	for line := range strings.Lines(tshark(t, file, args...)) {
		packets = append(packets, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	return packets
}

// expected is what the Go decoder finds in the frames of a packet.
func expected(frames ...[]byte) []string {
	all := make([][]string, len(columns))
	add := func(column string, text string) {
		i := slices.Index(columns, column)
		all[i] = append(all[i], text)
	}
	for _, frame := range frames {
		f := decode.New(nil).Frame(frame)
		add("size", strconv.Itoa(f.Size))
		add("crc.status", map[string]string{decode.OK: "1", decode.Bad: "0"}[f.CRC])
		kind := map[string]int{"hello": 0, "source": 1, "parity": 2}[f.Kind]
		if f.Class == wire.Replay.String() {
			kind += 2
		}
		add("kind", strconv.Itoa(kind))
		add("session", "0x"+f.Session)
		add("sequence", strconv.FormatUint(f.Sequence, 10))
		if f.Class != "" {
			class := slices.Index([]string{"low-latency", "bulk", "replay"}, f.Class)
			add("class", strconv.Itoa(class))
		}
		known(add, "generation", f.Generation)
		known(add, "index", f.Index)
		known(add, "row", f.Row)
		known(add, "lane", f.Lane)
		if f.Lanes > 0 {
			add("lanes", strconv.Itoa(f.Lanes))
		}
		known(add, "epoch", f.Epoch)
	}
	joined := make([]string, len(all))
	for i, list := range all {
		joined[i] = strings.Join(list, ",")
	}
	return joined
}

func known[T any](add func(string, string), column string, value *T) {
	if value != nil {
		add(column, fmt.Sprint(*value))
	}
}

// TestFieldsAreWhatTheDecoderSays compares every field of every kind of frame, in UDP,
// in raw Ethernet, behind a VLAN's tag, and of several frames in a packet.
func TestFieldsAreWhatTheDecoderSays(t *testing.T) {
	all := frames(session(t))
	var packets [][]byte
	var want [][]string
	add := func(p []byte, frames ...[]byte) {
		packets, want = append(packets, p), append(want, expected(frames...))
	}
	for _, f := range all {
		add(udp(t, f, port), f)
		add(raw(t, f), f)
		add(vlan(t, f), f)
	}
	add(udp(t, bytes.Join(all[2:12], nil), port), all[2:12]...)
	shorter := append(slices.Clone(all[2:12]), all[18]) // the last segment
	add(udp(t, bytes.Join(shorter, nil), port), shorter...)
	damaged := bytes.Clone(all[3])
	damaged[20] ^= 1
	add(udp(t, damaged, port), damaged)
	add(raw(t, damaged), damaged)
	add(udp(t, all[4][:40], port), all[4][:40])

	got := fields(t, capture(t, packets, whole))
	if len(got) != len(want) {
		t.Fatalf("got %d packets, want %d", len(got), len(want))
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("packet %d: got\n%q, want\n%q\nof %q", i+1, got[i], want[i], columns)
		}
	}
}

// TestGolden shows the columns of every kind of frame, what is said of damaged ones,
// and what is shown of one.
func TestGolden(t *testing.T) {
	s := session(t)
	all := frames(s)
	var packets [][]byte
	for _, f := range all {
		packets = append(packets, udp(t, f, port))
	}
	flipped, older := bytes.Clone(all[3]), bytes.Clone(all[3])
	flipped[len(flipped)-1] ^= 1
	older[0] += 2 << 4
	packets = append(packets,
		udp(t, bytes.Join(all[2:12], nil), port),
		udp(t, flipped, port),
		udp(t, all[3][:30], port),
		udp(t, all[3][:10], port),
		udp(t, older, port),
		raw(t, flipped),
		packet(t, 0x88B5, gopacket.Payload(counted(all[27][:900], len(all[27]), 0))),
		packet(t, 0x88B5, gopacket.Payload(counted(nil, 0, 44))),
		packet(t, 0x88B5)[:15],
		udp(t, []byte("GET / HTTP/1.1\r\n"), 9),
		udp(t, flipped, 9), // of a conversation that no right frame has shown
	)
	file := capture(t, packets, 1000)
	golden.Compare(t, "columns.txt", []byte(tshark(t, file, "-2", "-T", "fields", "-e", "frame.number",
		"-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "_ws.expert.message")))
	var trees strings.Builder
	for _, number := range []string{"1", "5", "15", "34"} {
		text := tshark(t, file, "-2", "-O", "heliograph", "-Y", "frame.number == "+number)
		_, tree, _ := strings.Cut(text, "\nHeliograph ")
		trees.WriteString("Heliograph " + tree)
	}
	golden.Compare(t, "trees.txt", []byte(trees.String()))
}

// TestRecognition: frames are found on any port by their CRC; the damaged ones of a
// conversation are shown with them, those before it in a second pass; with a port set,
// that port is the link's from its first packet.
func TestRecognition(t *testing.T) {
	f := frames(session(t))[2]
	damaged := bytes.Clone(f)
	damaged[20] ^= 1
	packets := [][]byte{udp(t, damaged, port), udp(t, f, port), udp(t, damaged, port), udp(t, f, 9999)}
	file := capture(t, packets, whole)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"by themselves": {nil, "2 3 4"},
		"two passes":    {[]string{"-2"}, "1 2 3 4"},
		"port set":      {[]string{"-o", "heliograph.port:4000"}, "1 2 3 4"},
		"decode as":     {[]string{"-d", "udp.port==4000,heliograph"}, "1 2 3 4"},
		"wrong CRC":     {[]string{"-o", "heliograph.port:4000", "-Y", "heliograph.crc.bad"}, "1 3"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"-Y", "heliograph"}, c.args...)
			got := strings.Fields(tshark(t, file, append(args, "-T", "fields", "-e", "frame.number")...))
			if strings.Join(got, " ") != c.want {
				t.Errorf("got packets %v, want %s", got, c.want)
			}
		})
	}
}

// TestGenerationsAreDistinguished: a late frame belongs to the generation before, and the
// same number after 65,536 others to a new one.
func TestGenerationsAreDistinguished(t *testing.T) {
	s := session(t)
	var packets [][]byte
	for _, at := range [][2]uint16{{7, 0}, {8, 0}, {7, 1}, {20000, 0}, {45000, 0}, {60000, 2}, {7, 0}, {8, 1}} {
		h := wire.Header{Kind: wire.Source, Sequence: uint32(len(packets)), Generation: at[0], Index: at[1]}
		packets = append(packets, udp(t, data(s, h, "a record"), port))
	}
	file := capture(t, packets, whole)
	got := strings.Fields(tshark(t, file, "-2", "-T", "fields", "-e", "heliograph.generation.sources"))
	if want := "2 1 2 1 1 3 1 2"; strings.Join(got, " ") != want {
		t.Errorf("got %v sources, want %s", got, want)
	}
}

// TestDocumentNamesEveryFilter: README.md lists the fields and remarks of the script,
// and no others.
func TestDocumentNamesEveryFilter(t *testing.T) {
	document, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := func(expression, text string) []string {
		var found []string
		for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
			found = append(found, m[1])
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	got := names("(?m)^\\| `(heliograph\\.[a-z._]+)` \\|", string(document))
	want := names(`Proto(?:Field\.\w+|Expert\.new)\("([a-z._]+)"`, Dissector)
	if len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRandomPacketsMakeNoError: 2,000 packets, random or damaged, whole or cut.
func TestRandomPacketsMakeNoError(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	all := frames(session(t))
	packets := [][]byte{udp(t, all[0], port)}
	for len(packets) < 2000 {
		f := bytes.Clone(all[r.IntN(len(all)-1)])
		switch r.IntN(4) {
		case 0:
			f = random(r, r.IntN(120))
		case 1:
			f = append([]byte{byte(1<<4 + r.IntN(6)), byte(r.Uint32())}, random(r, r.IntN(90))...)
			f = wire.AppendCRC(f)
		case 2:
			f[r.IntN(len(f))] ^= byte(1 + r.IntN(255))
		default:
			f = f[:r.IntN(len(f)+1)]
		}
		switch r.IntN(3) {
		case 0:
			packets = append(packets, udp(t, f, port))
		case 1:
			packets = append(packets, packet(t, 0x88B5, gopacket.Payload(counted(f, r.IntN(len(f)+20), r.IntN(20)))))
		default:
			packets = append(packets, packet(t, 0x88B5, gopacket.Payload(f)))
		}
	}
	got := tshark(t, capture(t, packets, 90), "-2", "-V", "-o", "heliograph.port:4000")
	if n := strings.Count(got, "\nHeliograph "); n < len(packets)/2 {
		t.Errorf("got %d frames of %d packets", n, len(packets))
	}
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}
