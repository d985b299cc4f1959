package demo

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/tools/plant"
)

func TestTheDemoLosesNothingAndLeavesNothing(t *testing.T) {
	programs := rig.Roles(t)
	for _, medium := range []string{"udp", "uart"} {
		t.Run(medium, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			o := Options{Programs: programs, Medium: medium, Loss: 0.05, Corrupt: 0.01, Rate: 50,
				Duration: 3 * time.Second}
			var screen, line string
			drawn := make(chan struct{})
			s, err := Run(t.Context(), o, func(d *Demo) {
				time.AfterFunc(2*time.Second, func() {
					defer close(drawn)
					v := NewScreen(d)
					v.Update(v.sample())
					screen, line = v.String(), d.Line()
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			<-drawn
			if !s.OK || s.Link.Frames == 0 || s.Latency.P50 <= 0 {
				t.Errorf("got %+v", s)
			}
			if medium == "udp" && (s.Link.Repaired == 0 || s.Link.CRCErrors == 0) {
				t.Errorf("the link was not impaired: %+v", s.Link)
			}
			for _, want := range []string{"press-line", "mosquitto_sub", "latency"} {
				if !strings.Contains(screen, want) {
					t.Errorf("the screen does not say %q:\n%s", want, screen)
				}
			}
			if !strings.Contains(line, "arrived") {
				t.Errorf("line: got %q", line)
			}
			if left, err := filepath.Glob(filepath.Join(os.TempDir(), "heliograph-demo-*")); err != nil ||
				len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

// TestTheDemoEndsWithAPartThatStandsStill stops heliotx, which then reads nothing.
func TestTheDemoEndsWithAPartThatStandsStill(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked time.Time
	_, _ = Run(ctx, Options{Programs: rig.Roles(t), Medium: "udp", Rate: 1000}, func(d *Demo) {
		if err := d.gateway.TX.Signal(syscall.SIGSTOP); err != nil {
			t.Error(err)
		}
		asked = time.Now().Add(time.Second)
		time.AfterFunc(time.Second, cancel)
	})
	if took := time.Since(asked); took > await.Bound || asked.IsZero() {
		t.Errorf("the demo ended after %v, want within %v", took, await.Bound)
	}
}

// TestAConflatedValueIsNotLost skips values of a tag, and holds the last one back.
func TestAConflatedValueIsNotLost(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(1_700_000_000_000 + ms) }
	same := int64(5000) // and a millisecond later tag 5 reads the same
	for plant.Reading(5, at(same)) != plant.Reading(5, at(same+1)) {
		same++
	}
	newest := map[int]time.Time{3: at(3000), 4: at(4000), 5: at(same + 1)}
	look := func(tag int) (time.Time, bool) { t, ok := newest[tag]; return t, ok }
	w := &watcher{arrivals: &arrivals{}}
	w.last[3] = at(3000) // what came before was conflated
	w.last[4] = at(2000)
	w.last[5] = at(same) // the server does not notify the same value again
	if got := w.outdated(look); got != 1 {
		t.Errorf("got %d outdated tags, want the one whose newest value did not arrive", got)
	}
	if w.last[4] = at(4000); w.outdated(look) != 0 {
		t.Error("a tag with its newest value is outdated")
	}
	for ms := int64(0); plant.Reading(4, newest[4]) != plant.Reading(4, plant.Began()); ms++ {
		if w.last[4] = (time.Time{}); ms == 0 && w.outdated(look) != 1 {
			t.Error("a tag of which nothing arrived is not outdated")
		}
		newest[4] = at(ms)
	}
	if w.last[4] = (time.Time{}); w.outdated(look) != 0 {
		t.Error("a tag whose first change is to the value it has is outdated")
	}
}

func TestRolesThatAreMissingAreSaid(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := Run(t.Context(), Options{Programs: t.TempDir(), Medium: "udp", Rate: 1}, func(*Demo) {})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("got %v, want it to say what to do", err)
	}
}

func TestSparkline(t *testing.T) {
	if got := spark([]uint64{0, 1, 7, 14}); !strings.HasPrefix(got, "▁▁▄█") {
		t.Errorf("got %q", got)
	}
}

func TestAnAlteredMessageIsCounted(t *testing.T) {
	n := uint64(2) // a retained one
	good := func() *paho.Publish {
		return &paho.Publish{Topic: plant.Topic(n), Retain: true, Properties: &paho.PublishProperties{},
			Payload: []byte(plant.Message(n, time.Unix(1, 0), "x", 1))}
	}
	for name, c := range map[string]struct {
		change func(*paho.Publish)
		want   uint64
	}{
		"unchanged":    {func(*paho.Publish) {}, 0},
		"topic":        {func(p *paho.Publish) { p.Topic = "other" }, 1},
		"retain flag":  {func(p *paho.Publish) { p.Retain = false }, 1},
		"content type": {func(p *paho.Publish) { p.Properties.ContentType = "x" }, 1},
		"payload":      {func(p *paho.Publish) { p.Payload[10] ^= 1 }, 1},
	} {
		var a arrivals
		p := good()
		c.change(p)
		if a.message(p, true); a.altered != c.want {
			t.Errorf("%s: got %d altered, want %d", name, a.altered, c.want)
		}
	}
}
