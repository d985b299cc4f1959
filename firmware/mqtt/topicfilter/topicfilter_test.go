package topicfilter

import "testing"

// TestMatch has the examples of MQTT 5.0 section 4.7, and others.
func TestMatch(t *testing.T) {
	for _, test := range []struct {
		filter, topic string
		want          bool
	}{
		{"#", "a/b", true}, {"#", "$SYS/a", false}, {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true},
		{"a/#", "a", true}, {"a/#", "ab", false}, {"a/+", "a/", true}, {"a/+", "a", false}, {"a/+", "a/b/c", false},
		{"+", "/a", false}, {"/+", "/a", true}, {"a/b", "a/b", true}, {"a/b", "a/b/", false}, {"a/b/", "a/b", false},
		{"+/+/#", "a/b", true}, {"sport/tennis/player1/#", "sport/tennis/player1", true},
		{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
		{"sport/tennis/player1/#", "sport/tennis", false}, {"sport/#", "sport", true}, {"sport/#", "sports", false},
		{"sport/+", "sport", false}, {"sport/+", "sport/", true}, {"+/+", "/finance", true},
		{"+/monitor/Clients", "$SYS/monitor/Clients", false}, {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
	} {
		if got := Match(test.filter, test.topic); got != test.want {
			t.Errorf("%s on %s: got %v, want %v", test.filter, test.topic, got, test.want)
		}
	}
}
