package mqtt

import (
	"testing"
	"time"

	payload "heliograph/firmware/conduit/payload/mqtt"
)

func TestRetainedWindowSeparatesStateFromLiveMessages(t *testing.T) {
	at := time.Unix(1000, 0)
	retained := func(text string) *payload.Message {
		return &payload.Message{Topic: "t", Retain: true, Payload: []byte(text)}
	}
	expiring := func(seconds uint32, received time.Time) *payload.Message {
		m := retained("x")
		m.Expires, m.Expiry, m.Received = true, seconds, received
		return m
	}
	type step struct {
		m    *payload.Message
		dup  bool
		want verdict
	}
	tests := []struct {
		name  string
		shown *payload.Message
		open  bool
		steps []step
	}{
		{"without a window all are live", nil, false,
			[]step{{retained("1"), false, isLive}, {retained("1"), false, isLive}}},
		{"first of a topic", nil, true, []step{{retained("1"), false, isState}, {retained("2"), false, isLive}}},
		{"known already", retained("1"), true, []step{{retained("1"), false, isRepeated},
			{retained("2"), false, isLive}}},
		{"changed", retained("1"), true,
			[]step{{retained("2"), false, isState}, {retained("2"), false, isRepeated},
				{retained("1"), false, isLive}}},
		{"sent again", retained("0"), true, []step{{retained("1"), true, isLive}, {retained("1"), false, isRepeated}}},
		{"cleared", retained("1"), true, []step{{retained(""), false, isLive}, {retained("1"), false, isState}}},
		{"same life, counted down", expiring(100, at), true,
			[]step{{expiring(60, at.Add(40*time.Second)), false, isRepeated}}},
		{"same life, not counted down", expiring(100, at), true,
			[]step{{expiring(100, at.Add(40*time.Second)), false, isRepeated}}},
		{"another life", expiring(100, at), true, []step{{expiring(90, at.Add(40*time.Second)), false, isState}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newRetainedSet()
			shown := map[string]mark{}
			if test.shown != nil {
				shown["t"] = p.mark(test.shown, test.shown.Append(nil))
			}
			p.addShown(shown)
			p.watchLive()
			if test.open {
				p.openWindow(at)
			}
			for i, s := range test.steps {
				if got, _ := p.addSession(s.m, s.dup, at, p.mark(s.m, s.m.Append(nil)), 0); got != s.want {
					t.Errorf("message %d: got %d, want %d", i, got, s.want)
				}
			}
		})
	}
}

func TestTheWindowWaitsForQuietAndForAcknowledgements(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, test := range []struct {
		passed, after time.Duration // when acked is seen first, and last
		acked         uint64
		want          bool
	}{
		{1250 * time.Millisecond, 1500 * time.Millisecond, 3, false}, // a topic came lately
		{1250 * time.Millisecond, 2 * time.Second, 3, true},
		{1250 * time.Millisecond, 2 * time.Second, 300, true},   // as well as other messages
		{time.Minute, time.Hour, 2, false},                      // the broker may wait for us
		{time.Hour - 100*time.Millisecond, time.Hour, 3, false}, // or just has
	} {
		p := newRetainedSet()
		p.openWindow(at)
		m := &payload.Message{Topic: "here", Retain: true, Payload: []byte("1")}
		p.addSession(m, false, at.Add(time.Second), p.mark(m, m.Append(nil)), 3)
		p.closeWindow(at.Add(test.passed), test.acked)
		if got := p.closeWindow(at.Add(test.after), test.acked); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// TestWhatIsReadYieldsToALiveMessage checks that what a reader gets of a topic
// never takes the place of a live message that may be newer.
func TestWhatIsReadYieldsToALiveMessage(t *testing.T) {
	p := newRetainedSet()
	mark := func(text string, qos byte) mark {
		m := &payload.Message{Topic: "t", Retain: true, QoS: qos, Payload: []byte(text)}
		return p.mark(m, m.Append(nil))
	}
	live := &payload.Message{Topic: "t", Retain: true, Payload: []byte("2")}
	p.watchLive()
	if got, _ := p.addRead("t", mark("1", 0)); got != isState {
		t.Errorf("an answer: got %d, want state", got)
	}
	if got, _ := p.addRead("t", mark("1", 1)); got != isRepeated {
		t.Errorf("the same with another QoS: got %d, want repeated", got)
	}
	p.addSession(live, false, time.Now(), mark("2", 0), 0)
	if got, _ := p.addRead("t", mark("1", 0)); got != isLive {
		t.Errorf("an answer after a live message: got %d, want live", got)
	}
	if p.remove("t") {
		t.Error("a topic was removed of which a live message came meanwhile")
	}
	p.watchLive()
	if !p.remove("t") {
		t.Error("a topic without an answer was not removed")
	}
}
