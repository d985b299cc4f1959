package mqtt

import (
	"testing"
)

func TestFiltersMatchAsMQTTSays(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"#", "a/b", true}, {"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true},
		{"a/#", "a", true}, {"a/#", "ab", false}, {"a/+", "a/", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false},
		{"+", "/a", false}, {"/+", "/a", true}, {"a/b", "a/b", true}, {"a/b", "a/b/", false}, {"a/b/", "a/b", false},
		{"$share/g/a/#", "a/b", true}, {"$share/g/a/#", "b", false}, {"+/+/#", "a/b", true},
	} {
		if got := matches(test.filter, test.topic); got != test.want {
			t.Errorf("%s on %s: got %v, want %v", test.filter, test.topic, got, test.want)
		}
	}
}
