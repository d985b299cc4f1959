package selftest

import (
	"fmt"
	"math"
	"testing"
	"testing/fstest"
	"time"
)

// received has an RX whose port counted this in the last minute.
func received(counts string) func(*Machine, fstest.MapFS) {
	return func(m *Machine, root fstest.MapFS) {
		m.Role = "rx"
		for i, c := range []string{"rx:0", counts} {
			root["proc/tty/driver/ttyAMA"] = &fstest.MapFile{Data: []byte("0: uart:PL011 tx:0 " + c + "\n")}
			m.Minute.sample(time.Unix(int64(i)*60, 0))
		}
	}
}

func TestMinuteForgetsWhatIsOlder(t *testing.T) {
	root := fstest.MapFS{}
	device := "/dev/ttyAMA0"
	m := &Minute{Root: root, Link: func() string { return device }}
	at := func(seconds, rx, overruns int) {
		root["proc/tty/driver/ttyAMA"] = &fstest.MapFile{
			Data: fmt.Appendf(nil, "0: uart:PL011 tx:0 rx:%d oe:%d\n1: uart:PL011 tx:0 rx:0\n", rx, overruns)}
		m.sample(time.Unix(int64(seconds), 0))
	}
	expect := func(when string, over time.Duration, rx, overruns int) {
		t.Helper()
		got, passed := m.counted()
		if passed != over || got["rx"] != rx || got["oe"] != overruns {
			t.Errorf("%s: got %v in %s; want %d characters, %d overruns in %s", when, got, passed, rx, overruns, over)
		}
	}
	at(0, math.MaxUint32-99, 5)
	expect("at first", 0, 0, 0)
	at(30, 100, 8)
	expect("over a wrap", 30*time.Second, 200, 3)
	for i := 60; i <= 120; i += 5 {
		at(i, 100+i, 8)
	}
	expect("later", time.Minute, 60, 0)
	if len(m.samples) > 14 {
		t.Errorf("got %d samples kept, want a minute of them", len(m.samples))
	}
	device = "/dev/ttyAMA1"
	at(125, 0, 0)
	expect("of another port", 0, 0, 0)
	device = ""
	at(130, 0, 0)
	expect("without a link", 0, 0, 0)
}
