package sink

import (
	"errors"
	"testing"
)

func TestStandingSaysHowASinkStands(t *testing.T) {
	fault := errors.New("connection refused")
	var s Standing
	for _, c := range []struct {
		name  string
		set   func()
		state State
		words string
		ready string // "" for nil
	}{
		{"at first", func() {}, Connecting, "not connected yet", "not connected yet"},
		{"down", func() { s.Set(Down, "note", fault) }, Down, "connection refused", "connection refused"},
		{"up with a note", func() { s.Set(Up, "MQTT 3.1.1", nil) }, Up, "MQTT 3.1.1", ""},
		{"up", func() { s.Set(Up, "", nil) }, Up, "", ""},
	} {
		c.set()
		state, words := s.Status()
		err := s.Ready()
		if state != c.state || words != c.words || (err == nil) != (c.ready == "") ||
			err != nil && err.Error() != c.ready {
			t.Errorf("%s: got %v %q, %v; want %v %q, %q", c.name, state, words, err, c.state, c.words, c.ready)
		}
	}
	if s.Set(Down, "", fault); !errors.Is(s.Ready(), fault) {
		t.Error("the fault is not the one that was set")
	}
}
