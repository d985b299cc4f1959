package console

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"heliograph/rootfs/console"
)

func framed(name, data string) string {
	var b strings.Builder
	console.Frame(&b, name, []byte(data))
	return b.String()
}

func TestStream(t *testing.T) {
	answer := framed("status", "{}")
	for _, tt := range []struct {
		name, in string
		text     []string
		open     string
		frames   int
	}{
		{"lines", "a\r\nb\r\nc", []string{"a", "b"}, "c", 0},
		{"CR CR LF of a port that adds its own", "a\r\r\n", []string{"a"}, "", 0},
		{"a frame is not text", "a\r\n" + answer + "b\r\n", []string{"a", "b"}, "", 1},
		{"a frame in a line being typed", "hostname [h]: ab" + answer + "c", nil, "hostname [h]: abc", 1},
		{"a frame that is not whole", "hostname [h]: ab" + answer[:len(answer)-50], nil, "hostname [h]: ab", 0},
		{"a log line in a frame", strings.Replace(answer, "\r\n", "\r\nlevel=INFO msg=x\r\n", 1),
			[]string{"level=INFO msg=x"}, "", 1},
		{"a letter taken back", "ab\b \bc", nil, "ac", 0},
		{"controls", "a\x1b[2Jb\x1bc\u00db2J\x00", nil, "abc?2J?", 0},
		{"a sequence without end", "\x1b[" + strings.Repeat("1;", 1000) + "\nx", []string{""}, "x", 0},
		{"a line without end is cut", strings.Repeat("x", longestLine+1), []string{strings.Repeat("x", longestLine)},
			"", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, chunk := range []int{1, 7, len(tt.in)} { // however it arrives
				var s stream
				var frames int
				for part := range slices.Chunk([]byte(tt.in), chunk) {
					frames += len(s.feed(part))
				}
				if !slices.Equal(s.text, tt.text) || s.open() != tt.open || frames != tt.frames {
					t.Errorf("in parts of %d: got %q, %q open, %d frames; want %q, %q, %d", chunk, s.text, s.open(),
						frames, tt.text, tt.open, tt.frames)
				}
			}
		})
	}
}

// For any input, memory is bounded and nothing but text is shown.
func FuzzStream(f *testing.F) {
	f.Add([]byte("a\r\n"+framed("status", "{}")), 3)
	f.Fuzz(func(t *testing.T, in []byte, chunk int) {
		var s stream
		for part := range slices.Chunk(in, max(1, chunk)) {
			for _, f := range s.feed(part) {
				if len(f.Data) > console.MaxFrame {
					t.Fatalf("got a frame of %d bytes", len(f.Data))
				}
			}
		}
		if len(s.text) > mostLines || len(s.line) > longestLine || len(s.before) > longestLine {
			t.Fatalf("got %d lines, one of %d bytes, %d before a frame", len(s.text), len(s.line), len(s.before))
		}
		for _, line := range append(s.text, s.open()) {
			if i := bytes.IndexFunc([]byte(line), func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
				t.Fatalf("got %q", line)
			}
		}
	})
}
