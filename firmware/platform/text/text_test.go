package text_test

import (
	"testing"

	"heliograph/firmware/platform/text"
)

func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		s              string
		n              int
		clipped, short string
	}{
		{"", 0, "", ""}, {"ab", 3, "ab", "ab"}, {"abc", 3, "abc", "abc"}, {"abcd", 3, "abc", "abc…"},
		{"abcd", 0, "", "…"},
		{"aé", 3, "aé", "aé"}, {"aé", 2, "a", "a…"}, {"aéb", 2, "a", "a…"}, {"aéb", 3, "aé", "aé…"}, {"€", 2, "", "…"},
		{"\x80\x80", 1, "", "…"},
	} {
		if got := text.Clip(tt.s, tt.n); got != tt.clipped {
			t.Errorf("Clip(%q, %d): got %q, want %q", tt.s, tt.n, got, tt.clipped)
		}
		if got := text.Shorten(tt.s, tt.n); got != tt.short {
			t.Errorf("Shorten(%q, %d): got %q, want %q", tt.s, tt.n, got, tt.short)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a – ü €": "a – ü €", "a\x1b[2J\nb\t": "a?[2J?b?", "\x7f\u0085\u202e\u2028\u2066": "?????",
	} {
		if got := text.Printable(in); got != want {
			t.Errorf("Printable(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestMark(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		wide           bool
	}{
		{"none", "a = 1", "a = 1", false},
		{"UTF-8", "\xEF\xBB\xBFa = 1", "a = 1", false},
		{"only once", "\xEF\xBB\xBF\xEF\xBB\xBF", "\xEF\xBB\xBF", false},
		{"inside", "a\xEF\xBB\xBF", "a\xEF\xBB\xBF", false},
		{"empty", "", "", false},
		{"UTF-16, little-endian", "\xFF\xFEa\x00", "\xFF\xFEa\x00", true},
		{"UTF-16, big-endian", "\xFE\xFF\x00a", "\xFE\xFF\x00a", true},
	} {
		if got := string(text.TrimMark([]byte(tt.in))); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := text.IsUTF16([]byte(tt.in)); got != tt.wide {
			t.Errorf("%s: UTF-16: got %t, want %t", tt.name, got, tt.wide)
		}
	}
}
