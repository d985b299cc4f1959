package flash

import (
	"strings"
	"testing"
	"time"
)

func TestThePaceIsABarWithSpeedAndTimeLeft(t *testing.T) {
	now := time.Unix(0, 0)
	p := &pace{now: func() time.Time { return now }}
	p.start("writing", 1000e6, 0)
	if got, want := p.String(), "writing      [..............................]   0 %"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	now = now.Add(10 * time.Second)
	p.add(250e6, false)
	if got, want := p.String(), "writing      [#######.......................]  25 % 25.0 MB/s, 30s left"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	p.add(750e6, false)
	if got, want := p.String(), "writing      [##############################] 100 % 100.0 MB/s, 0s left"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestTimeLeftKnowsHolesFromData(t *testing.T) {
	now := time.Unix(0, 0)
	p := &pace{now: func() time.Time { return now }}
	last := func() string {
		_, text, _ := strings.Cut(p.String(), "% ")
		return text
	}
	p.start("writing", 100e6, 400e6)
	step := func(n int64, hole bool, took time.Duration) {
		now = now.Add(took)
		p.add(n, hole)
	}
	step(50e6, false, 5*time.Second)
	if got, want := last(), "10.0 MB/s, 45s left"; got != want {
		t.Errorf("got %q before the first hole, want %q", got, want)
	}
	step(200e6, true, 2*time.Second) // 100 MB/s
	if got, want := last(), "10.0 MB/s, 7s left"; got != want {
		t.Errorf("got %q after holes, want %q", got, want)
	}
	step(200e6, true, 2*time.Second)
	step(40e6, false, 4*time.Second)
	if got, want := last(), "10.0 MB/s, 1s left"; got != want {
		t.Errorf("got %q at the end, want %q", got, want)
	}
}
