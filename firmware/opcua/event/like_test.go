package event

import "testing"

func TestLike(t *testing.T) {
	for _, tt := range []struct {
		s, p string
		want bool
	}{
		{"", "", true}, {"", "%", true}, {"abc", "a%", true}, {"abc", "%c", true}, {"abc", "_b_", true},
		{"abc", "a", false},
		{"5%", `5\%`, true}, {"5x", `5\%`, false}, {"abd", "ab[c-e]", true}, {"abf", "ab[c-e]", false},
		{"abf", "ab[^c-e]", true},
		{"äö", "_ö", true}, {"aXbXc", "%X%c", true}, {"ab", "a[", false}, {"mississippi", "%iss%pi", true},
	} {
		if got := matchLike([]byte(tt.s), []byte(tt.p)); got != tt.want {
			t.Errorf("%q like %q: got %v, want %v", tt.s, tt.p, got, tt.want)
		}
	}
}
