package mqtt

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// TestASkimmerRemovesAndReportsRetainedMessages cuts a run of packets in every way, and
// checks that the topics are reported and the rest is as it was.
func TestASkimmerRemovesAndReportsRetainedMessages(t *testing.T) {
	packet := func(head byte, body string) string {
		return string(append(binary.AppendUvarint([]byte{head}, uint64(len(body))), body...)) // the same form
	}
	long := strings.Repeat("x", 300)
	kept := packet(0x90, "\x00\x01\x00") + packet(0x33, "\x00\x01b\x00\x07of QoS 1") + packet(0xd0, "")
	all := packet(0x31, "\x00\x03a/ä"[:5]+long) + kept[:5] + packet(0x30, "\x00\x04live"+long) + kept[5:] + packet(0x31,
		"\x00\x01c") + packet(0x31, "\x00")
	for cut := 1; cut <= len(all); cut++ {
		var topics []string
		s := &skimmer{topic: func(b []byte) { topics = append(topics, string(b)) }}
		s.on.Store(true)
		var out []byte
		for part := range slices.Chunk([]byte(all), cut) {
			out = append(out, s.filter(part)...)
		}
		if string(out) != kept || len(topics) != 2 || topics[1] != "c" {
			t.Fatalf("in pieces of %d: got %q and topics %q, want %q", cut, out, topics, kept)
		}
	}
	s := &skimmer{topic: func([]byte) { t.Error("a topic was reported although it is off") }}
	if got := s.filter([]byte(all)); string(got) != all {
		t.Error("packets were taken out although it is off")
	}
}
