package mqtt

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"heliograph/ci/await"
	payload "heliograph/firmware/conduit/payload/mqtt"
	"heliograph/firmware/config"
	"heliograph/firmware/tx/source/sourcetest"
)

func TestPictureTellsStateFromLive(t *testing.T) {
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
		{"without a window all are live", nil, false, []step{{retained("1"), false, isLive}, {retained("1"), false, isLive}}},
		{"first of a topic", nil, true, []step{{retained("1"), false, isState}, {retained("2"), false, isLive}}},
		{"known already", retained("1"), true, []step{{retained("1"), false, isRepeated}, {retained("2"), false, isLive}}},
		{"changed", retained("1"), true, []step{{retained("2"), false, isState}, {retained("2"), false, isRepeated}, {retained("1"), false, isLive}}},
		{"sent again", retained("0"), true, []step{{retained("1"), true, isLive}, {retained("1"), false, isRepeated}}},
		{"cleared", retained("1"), true, []step{{retained(""), false, isLive}, {retained("1"), false, isState}}},
		{"same life, counted down", expiring(100, at), true, []step{{expiring(60, at.Add(40*time.Second)), false, isRepeated}}},
		{"same life, not counted down", expiring(100, at), true, []step{{expiring(100, at.Add(40*time.Second)), false, isRepeated}}},
		{"another life", expiring(100, at), true, []step{{expiring(90, at.Add(40*time.Second)), false, isState}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newPicture()
			shown := map[string]mark{}
			if test.shown != nil {
				shown["t"] = p.mark(test.shown, test.shown.Append(nil))
			}
			p.show(shown)
			p.watch()
			if test.open {
				p.open(at)
			}
			for i, s := range test.steps {
				if got := p.take(s.m, s.dup, at, p.mark(s.m, s.m.Append(nil)), 0); got != s.want {
					t.Errorf("message %d: got %d, want %d", i, got, s.want)
				}
			}
		})
	}
}

func TestTheWindowWaitsForQuietAndForAcknowledgements(t *testing.T) {
	at := time.Unix(1000, 0)
	for _, test := range []struct {
		after, ackedAfter time.Duration
		acked             uint64
		want              bool
	}{
		{1500 * time.Millisecond, time.Second, 3, false}, // a topic came lately
		{2 * time.Second, time.Second, 3, true},
		{time.Hour, time.Second, 2, false},                      // the broker may wait for us
		{time.Hour, time.Hour - 100*time.Millisecond, 3, false}, // or just has
	} {
		p := newPicture()
		p.open(at)
		m := &payload.Message{Topic: "here", Retain: true, Payload: []byte("1")}
		p.take(m, false, at.Add(time.Second), p.mark(m, m.Append(nil)), 3)
		if got := p.closed(at.Add(test.after), test.acked, at.Add(test.ackedAfter)); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
	}
}

// TestAnAnswerYieldsToALiveMessage checks that what a reader is told of a topic
// never takes the place of a live message that may be newer.
func TestAnAnswerYieldsToALiveMessage(t *testing.T) {
	p := newPicture()
	mark := func(text string, qos byte) mark {
		m := &payload.Message{Topic: "t", Retain: true, QoS: qos, Payload: []byte(text)}
		return p.mark(m, m.Append(nil))
	}
	live := &payload.Message{Topic: "t", Retain: true, Payload: []byte("2")}
	p.watch()
	if got := p.answer("t", mark("1", 0)); got != isState {
		t.Errorf("an answer: got %d, want state", got)
	}
	if got := p.answer("t", mark("1", 1)); got != isRepeated {
		t.Errorf("the same with another QoS: got %d, want repeated", got)
	}
	p.take(live, false, time.Now(), mark("2", 0), 0)
	if got := p.answer("t", mark("1", 0)); got != isLive {
		t.Errorf("an answer after a live message: got %d, want live", got)
	}
	if p.remove("t") {
		t.Error("a topic was removed of which a live message came meanwhile")
	}
	p.watch()
	if !p.remove("t") {
		t.Error("a topic without an answer was not removed")
	}
}

func TestAcknowledgementsKeepTheOrderOfArrival(t *testing.T) {
	var total atomic.Uint64
	a := newAcker(&total)
	defer a.close()
	acked := make(chan int, 100)
	var done []func()
	var first atomic.Bool // left
	for i := range 100 {
		done = append(done, a.expect(func() {
			if !first.Load() {
				t.Errorf("got %d acknowledged before the first had left", i)
			}
			acked <- i
		}))
	}
	for i := len(done) - 1; i > 0; i-- {
		done[i]()
		runtime.Gosched()
	}
	first.Store(true)
	done[0]()
	for i := range done {
		if got := <-acked; got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
	await.True(t, "all are counted", func() bool { return total.Load() == 100 })
}

func TestQoS2CrossesOnceOverConnections(t *testing.T) {
	s := newDeliveries()
	var done []string
	take := func(name string, o origin, sum uint64) *delivery {
		return s.take(2, o, sum, func() { done = append(done, name) }, func(err error) { done = append(done, name+": "+err.Error()) })
	}
	d := take("first", origin{id: 1}, 7)
	if take("again", origin{id: 1, dup: true}, 7) != nil {
		t.Error("got a second delivery, want none")
	}
	s.leave(d)
	if take("late", origin{id: 1, dup: true}, 7) != nil {
		t.Error("got a second delivery after it left, want none")
	}
	if want := []string{"again", "late"}; !slices.Equal(done, want) {
		t.Errorf("got %v, want %v: each connection is told once", done, want)
	}
	if take("other", origin{id: 1, dup: true}, 8) == nil || take("new", origin{id: 1}, 8) == nil {
		t.Error("got another message taken for the one before")
	}
	lost := take("lost", origin{id: 2}, 9)
	s.lose(lost, origin{id: 2}, errors.New("gone"))
	if take("after", origin{id: 2, dup: true}, 9) == nil {
		t.Error("got nothing for a message that never left")
	}
	take("kept", origin{id: 3}, 1)
	s.forget()
	if take("fresh", origin{id: 3, dup: true}, 1) == nil {
		t.Error("got a message of another session taken for this one's")
	}
}

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

// BenchmarkMessage is one QoS 0 event from the library to the link.
func BenchmarkMessage(b *testing.B) {
	s, _ := testSource(b)
	f := newFeed(s)
	defer f.close()
	m := payload.Message{Topic: "press/7/temperature", Payload: make([]byte, 200)}
	b.ReportAllocs()
	for b.Loop() {
		f.message(&m, origin{})
	}
}

func TestMessageCostsFewAllocations(t *testing.T) {
	s, _ := testSource(t)
	f := newFeed(s)
	defer f.close()
	m := payload.Message{Topic: "press/7/temperature", Payload: make([]byte, 200)}
	// The link keeps its bytes and its Left; the rest is what Left needs.
	const most = 8
	if got := testing.AllocsPerRun(1000, func() { f.message(&m, origin{}) }); got > most {
		t.Errorf("got %v allocations a message, want at most %d", got, most)
	}
}

// testSource is a source on a port that keeps nothing.
func testSource(t testing.TB) (*Source, *sourcetest.Discard) {
	t.Helper()
	p := &sourcetest.Discard{}
	s, err := New(config.MQTTSource{Broker: "mqtt://x:1", Topics: []string{"#"}}, "", p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// barrier5 is a connection that answers barriers, and does nothing else.
type barrier5 struct {
	connection
	crossed func() // at each barrier
}

func (b barrier5) barrier(context.Context) error { b.crossed(); return nil }
func (b barrier5) lost() <-chan struct{}         { return nil }

func TestDrainWaitsForWhatLibrariesQueue(t *testing.T) {
	tests := []struct {
		name  string
		steps []func(f *feed) // at one barrier after the other
		want  int             // barriers
	}{
		{"nothing kept", nil, 1},
		{"received, not taken yet", []func(f *feed){
			func(f *feed) { f.traffic.in[typePublish].Add(1) },
			func(f *feed) { f.arrived.Add(1) },
		}, 3},
		{"taken, its acknowledgement not sent yet", []func(f *feed){
			func(f *feed) { f.traffic.in[typePublish].Add(1); f.arrived.Add(1); f.acks.expect(func() {})() },
			func(*feed) {},
			func(f *feed) { f.traffic.out[typePuback].Add(1) },
		}, 4},
		{"QoS 2 not complete yet", []func(f *feed){
			func(f *feed) { f.traffic.in[typePubrel].Add(1) },
			func(*feed) {},
			func(f *feed) { f.traffic.out[typePubcomp].Add(1) },
		}, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &feed{acks: newAcker(new(atomic.Uint64))}
				defer f.acks.close()
				got := 0
				err := f.drain(t.Context(), barrier5{crossed: func() {
					if got < len(tt.steps) {
						tt.steps[got](f)
					}
					got++
				}})
				if err != nil || got != tt.want {
					t.Errorf("got %d barriers, %v; want %d", got, err, tt.want)
				}
			})
		})
	}
}
