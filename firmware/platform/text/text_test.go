package text_test

import (
	"testing"

	"heliograph/firmware/platform/text"
)

func TestClip(t *testing.T) {
	for _, tt := range []struct {
		s    string
		n    int
		want string
	}{
		{"", 0, ""}, {"ab", 3, "ab"}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"abcd", 0, ""},
		{"aé", 2, "a"}, {"aéb", 3, "aé"}, {"€", 2, ""}, {"\x80\x80", 1, ""},
	} {
		if got := text.Clip(tt.s, tt.n); got != tt.want {
			t.Errorf("Clip(%q, %d): got %q, want %q", tt.s, tt.n, got, tt.want)
		}
	}
}
