package mqtt

import "testing"

func TestSubscribed(t *testing.T) {
	for _, test := range []struct {
		topic   string
		filters []string
		want    bool
	}{
		{"a/b", nil, false},
		{"a/b", []string{"c", "a/#"}, true},
		{"$SYS/uptime", []string{"#", "+/uptime"}, false},
		{"a/b", []string{"$share/g/a/#"}, true},
		{"b", []string{"$share/g/a/#"}, false},
	} {
		if got := subscribed(test.topic, test.filters); got != test.want {
			t.Errorf("%s with %q: got %v, want %v", test.topic, test.filters, got, test.want)
		}
	}
}
