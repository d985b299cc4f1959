package event

import (
	"strings"
	"testing"

	"github.com/gopcua/opcua/id"
	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
)

func TestLike(t *testing.T) {
	for _, tt := range []struct {
		s, p string
		want bool
	}{
		{"", "", true}, {"", "%", true}, {"abc", "a%", true}, {"abc", "%c", true}, {"abc", "_b_", true},
		{"abc", "a", false}, {"ab", "%abc", false}, {"ab", "%_b%%", true}, {"ab", "%b_", false},
		{"5%", `5\%`, true}, {"5x", `5\%`, false}, {"abd", "ab[c-e]", true}, {"abf", "ab[c-e]", false},
		{"abf", "ab[^c-e]", true},
		{"äö", "_ö", true}, {"aXbXc", "%X%c", true}, {"ab", "a[", false}, {"mississippi", "%iss%pi", true},
	} {
		work := maxLikeWork
		if got := matchLike([]byte(tt.s), []byte(tt.p), &work); got != tt.want {
			t.Errorf("%q like %q: got %v, want %v", tt.s, tt.p, got, tt.want)
		}
	}
}

// A pattern that restarts at each character of a text costs the product of their lengths: such a
// comparison is ended. A text that is searched for a word costs its length.
func TestLikeEndsAComparisonThatTakesTooLong(t *testing.T) {
	resembling := strings.Repeat("a", 10_000) + "b"
	for name, tt := range map[string]struct {
		s, p string
		want bool
	}{
		"a word in a long text":        {strings.Repeat("pump ", 10_000) + "valve is open", "%valve%open", true},
		"a text that resembles itself": {resembling, "%" + strings.Repeat("a", 1000) + "b", false},
		"any characters":               {resembling, "%" + strings.Repeat("_", 1000) + "b", false},
		"a list that has no end":       {strings.Repeat("a", 10_000), "%[" + strings.Repeat("b", 1000), false},
	} {
		t.Run(name, func(t *testing.T) {
			work := maxLikeWork
			if got := matchLike([]byte(tt.s), []byte(tt.p), &work); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if most := 2000; work < -most {
				t.Errorf("%d bytes of the pattern beyond the limit, want at most %d", -work, most)
			}
		})
	}
}

// All comparisons of a filter share what one event may take.
func TestLikeElementsOfAFilterShareTheWork(t *testing.T) {
	likes := func(n int) *ua.EventFilter {
		costly := el(ua.FilterOperatorLike, strings.Repeat("a", 4000), "%"+strings.Repeat("a", 1000)+"b")
		es := []*ua.ContentFilterElement{el(ua.FilterOperatorLike, clause(id.BaseEventType, "Message"), "tank%")}
		for range n {
			es = append(es, costly)
		}
		return where(es...)
	}
	types(t).View(func(v addrspace.View) {
		for n, want := range map[int]bool{0: true, 40: false} {
			f, _, status := NewFilter(likes(n), v, Limits{})
			if status != ua.StatusOK {
				t.Fatal(status)
			}
			if got := f.Match(alarm(t, "1", true), v); got != want {
				t.Errorf("beside %d costly elements: got %v, want %v", n, got, want)
			}
		}
	})
}
