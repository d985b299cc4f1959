package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
)

// Topics of the plant's controller.
const (
	eventTopic = "plant/event" // numbered messages
	valueTopic = "plant/value" // the newest number, retained
)

// pause is between two numbers that a sender says. A value of the mirror that is followed
// by another before it has left is skipped, which the account counts as conflated.
const pause = 60 * time.Millisecond

// senders are what goes on in the plant while the link is cut. Each says the same numbers.
type senders struct {
	t          *testing.T
	controller *autopaho.ConnectionManager
	device     net.Conn // sends syslog; may be nil
	plant      *plant   // may be nil
	said       int      // numbers, from 0 on
}

// say says the next n numbers.
func (s *senders) say(n int) {
	s.t.Helper()
	for range n {
		number := fmt.Sprint(s.said)
		publish5(s.t, s.controller, message{eventTopic, number, 1, false})
		publish5(s.t, s.controller, message{valueTopic, number, 1, true})
		if s.device != nil {
			line := numberedLine(s.said)
			if _, err := fmt.Fprintf(s.device, "%d %s", len(line), line); err != nil {
				s.t.Fatal(err)
			}
		}
		if s.plant != nil {
			s.plant.do(map[string]any{"do": "set", "name": "Tag1", "value": s.said})
		}
		s.said++
		time.Sleep(pause)
	}
}

const lineBegins = "<34>1 2003-10-11T22:14:15Z press app - - - number "

func numberedLine(i int) string { return lineBegins + strconv.Itoa(i) }

// listeners are what arrives on IT's side.
type listeners struct {
	lines  string // rsyslog's file
	port   int    // of IT's broker
	mirror string // its URL
	mu     sync.Mutex
	got    []arrival
}

// arrival is a message, and its user property heliograph-late.
type arrival struct {
	message
	mark string
}

func (l *listeners) add(p *paho.Publish) {
	a := arrival{message: message{p.Topic, string(p.Payload), p.QoS, p.Retain}}
	if p.Properties != nil {
		a.mark = p.Properties.User.Get("heliograph-late")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, a)
}

// numbers returns what arrived at topics, in order. The gateway's own topics are left out.
func (l *listeners) numbers(t *testing.T, fits func(a arrival) bool) (list []int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.got {
		if !strings.Contains(a.topic, "plant/") || !fits(a) {
			continue
		}
		n, err := strconv.Atoi(a.payload)
		if err != nil {
			t.Fatalf("got %+v, want a number", a)
		}
		list = append(list, n)
	}
	return list
}

func atTopic(topic string) func(arrival) bool {
	return func(a arrival) bool { return a.topic == topic }
}

// lineNumbers returns the numbers of the collector's lines, in order.
func (l *listeners) lineNumbers(t *testing.T) (list []int) {
	t.Helper()
	content, _ := os.ReadFile(l.lines) // there is none before the first line
	for line := range strings.Lines(string(content)) {
		text, whole := strings.CutSuffix(line, "\n")
		if !whole {
			break // is being written
		}
		text, ours := strings.CutPrefix(text, lineBegins)
		n, err := strconv.Atoi(text)
		if !ours || err != nil {
			t.Fatalf("the collector has %q", line)
		}
		list = append(list, n)
	}
	return list
}

// startRsyslog starts rsyslog as a collector on a TCP port, and returns its file.
func startRsyslog(t *testing.T, port int) (file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "lines")
	configuration := fmt.Sprintf(`global(workDirectory="%s")
module(load="imtcp")
template(name="raw" type="string" string="%%rawmsg%%\n")
input(type="imtcp" port="%d" address="127.0.0.1")
action(type="omfile" file="%s" template="raw")
`, dir, port, file)
	rig.Write(t, filepath.Join(dir, "conf"), []byte(configuration))
	p := rig.Start(t, rig.Program(t, "rsyslogd", "that rsyslog has every line of an outage"), "-n", "-f",
		filepath.Join(dir, "conf"), "-i", filepath.Join(dir, "pid"))
	rig.Listening(t, p, fmt.Sprintf("127.0.0.1:%d", port))
	return file
}

// missing returns which of the numbers below n are not in a list.
func missing(list []int, n int) (none []int) {
	for i := range n {
		if !slices.Contains(list, i) {
			none = append(none, i)
		}
	}
	return none
}

// onceInTwoOrders returns an error unless a list has the numbers below n, each once, in
// two orders: those that came live, and those that came late.
func onceInTwoOrders(list []int, n int) error {
	if none := missing(list, n); len(none) > 0 || len(list) != n {
		return fmt.Errorf("got %d numbers, want each below %d once; %v are missing", len(list), n, none)
	}
	orders := [2]int{-1, -1} // the last of each; the greater one first
	for i, x := range list {
		switch {
		case x > orders[0]:
			orders[0] = x
		case x > orders[1]:
			orders[1] = x
		default:
			return fmt.Errorf("%d at place %d follows %d and %d: neither live nor late ones are in order: %v", x, i,
				orders[0], orders[1], list)
		}
	}
	return nil
}

// healed waits until nothing of a channel is missing, and returns its account.
func (g *gateway) healed(channel string) account {
	g.t.Helper()
	await.NoError(g.t, "no holes of "+channel, func() error {
		if a := g.balanced(channel); a.Lost+a.Unknown+a.OpenHoles+a.OpenRecords > 0 || a.Healed == 0 {
			return fmt.Errorf("%s; %d healed, %d open in %d holes", a, a.Healed, a.OpenRecords, a.OpenHoles)
		}
		return nil
	})
	return g.balanced(channel)
}

// dark cuts the link, has the senders go on, and waits until all that they said has left
// into the dark, with its parity.
func (g *gateway) dark(s *senders, n int) {
	g.t.Helper()
	g.Link.SetCut(true)
	s.say(n)
	g.left(s)
	g.goesOn()
}

// goesOn waits until TX has sent into the dark for a second more, and the parity of what came before with it.
func (g *gateway) goesOn() {
	g.t.Helper()
	time.Sleep(time.Second) // longer than parity takes to follow
	before := g.Link.Counters().Cut
	await.True(g.t, "TX transmits into the dark", func() bool { return g.Link.Counters().Cut >= before+3 })
}

// left waits until all messages and lines have left TX.
func (g *gateway) left(s *senders) {
	g.t.Helper()
	want := map[string]uint64{"cell-1": uint64(2 * s.said)}
	if s.device != nil {
		want["syslog"] = uint64(s.said)
	}
	for channel, n := range want {
		await.NoError(g.t, "all of "+channel+" has left", func() error {
			if sent := g.TX.Channel(channel).Sent; sent < n {
				return fmt.Errorf("%d of %d", sent, n)
			}
			return nil
		})
	}
}

// newOutage starts a pair that carries messages, lines and a mirror with history. TX gets
// the settings.
func newOutage(t *testing.T, settings string) (g *gateway, s *senders, l *listeners) {
	t.Helper()
	p := startPlant(t, map[string]any{"tags": 20, "historical": 20})
	plantPort, itPort, in, siem := await.FreePort(t), await.FreePort(t), await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plantPort, "")
	rig.Mosquitto(t, itPort, "")
	port := await.FreePort(t)
	l = &listeners{lines: startRsyslog(t, siem), port: itPort, mirror: fmt.Sprintf("opc.tcp://127.0.0.1:%d", port)}
	txMessages, rxMessages := mqttTables(plantPort, itPort, "5")
	txLines, rxLines := syslogTables(in, siem)
	txMirror, rxMirror := everyValueTables(p, port, false)
	g = newGateway(t, linktest.Profile{}, settings+txMessages+txLines+txMirror,
		rxMessages+rxLines+rxMirror+"history = \"1d\"\n")
	subscriber5(t, itPort, "it", "#", l.add)
	g.Start()
	g.Ready()
	s = &senders{t: t, controller: client5(t, plantPort, "plant", "", nil), plant: p}
	device, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", in))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = device.Close() })
	s.device = device
	return g, s, l
}

// TestAnOutageHealsAtEverySink cuts the link while a controller, a device and an OPC UA
// server go on: all that they said is at the broker, at the collector and in the mirror's
// history after it. Meanwhile the receiver runs, is restarted, or is killed.
func TestAnOutageHealsAtEverySink(t *testing.T) {
	t.Parallel()
	const before, during, after = 10, 40, 10
	for name, restart := range map[string]func(g *gateway){
		"link cut":               func(*gateway) {},
		"link cut, RX restarted": func(g *gateway) { g.RX.Stop(); g.RX.Start() },
		"link cut, RX killed":    func(g *gateway) { g.RX.Kill(); g.RX.Start() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, s, l := newOutage(t, "")
			began := time.Now().Add(-time.Second)
			s.say(before)
			g.left(s)
			g.dark(s, during/2)
			restart(g)
			g.dark(s, during/2)
			g.Link.SetCut(false)
			s.say(after)
			g.Ready()
			for _, channel := range []string{"cell-1", "syslog", "plant"} {
				a := g.healed(channel)
				t.Logf("%s: %s, %d healed", channel, a, a.Healed)
			}
			l.complete(t, s.said, name == "link cut, RX killed")
			l.newest(t, s.said)
			sameHistory(t, g, s.plant.url, l.mirror, began)
		})
	}
}

// complete wants every number at the broker and at the collector: once, unless RX was
// killed.
func (l *listeners) complete(t *testing.T, n int, killed bool) {
	t.Helper()
	events := func(a arrival) bool { return strings.HasSuffix(a.topic, eventTopic) }
	await.NoError(t, "all messages and lines", func() error {
		if none := missing(l.numbers(t, events), n); len(none) > 0 {
			return fmt.Errorf("messages %v are missing", none)
		}
		if none := missing(l.lineNumbers(t), n); len(none) > 0 {
			return fmt.Errorf("lines %v are missing", none)
		}
		return nil
	})
	for what, list := range map[string][]int{"messages": l.numbers(t, events), "lines": l.lineNumbers(t)} {
		if killed {
			t.Logf("%d %s arrived %d times", n, what, len(list))
		} else if err := onceInTwoOrders(list, n); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if late := l.numbers(t, atTopic("late/"+eventTopic)); len(late) == 0 {
		t.Error("no message arrived late")
	}
	if wrong := l.numbers(t, func(a arrival) bool {
		return a.retain && a.topic != valueTopic || a.mark != ""
	}); len(wrong) > 0 {
		t.Errorf("messages %v are retained at another topic than %s, or marked", wrong, valueTopic)
	}
	values := l.numbers(t, atTopic(valueTopic))
	if !slices.IsSorted(values) {
		t.Errorf("the retained value went back: %v", values)
	}
}

// newest wants the newest number retained, and nothing of what came late.
func (l *listeners) newest(t *testing.T, n int) {
	t.Helper()
	retained(t, l.port, "plant/#", map[string]string{valueTopic: fmt.Sprint(n - 1)})
	retained(t, l.port, "late/#", map[string]string{})
}

// sameHistory wants the mirror's history to have what the plant's has since a time, but
// for values that are counted as skipped before they left.
func sameHistory(t *testing.T, g *gateway, plant, mirror string, began time.Time) {
	t.Helper()
	read := reading{Kind: "raw", Node: tag("Tag1").String(), From: began.UnixMilli(),
		To: time.Now().Add(time.Hour).UnixMilli()}
	want := historian(t, plant, read)[0].values(t)
	await.NoError(t, "the history of the plant at the mirror", func() error {
		got := historian(t, mirror, read)[0]
		rest := got.values(t)
		var none []string
		for _, w := range want {
			if len(rest) > 0 && rest[0] == w {
				rest = rest[1:]
			} else {
				none = append(none, w)
			}
		}
		if skipped := g.RX.Channel("plant").Conflated; len(rest) > 0 || uint64(len(none)) > skipped ||
			len(none) == len(want) {
			return fmt.Errorf("got %q, %d skipped; want %q: %q are missing", got.values(t), skipped, want, none)
		}
		return nil
	})
}

// TestWhatBecomesOfLateMessages has the broker take them at topics of their own, at their
// own topics, or not at all: mosquitto, and the receiver's own broker.
func TestWhatBecomesOfLateMessages(t *testing.T) {
	t.Parallel()
	const before, during, after = 5, 20, 5
	for _, late := range []string{"separate", "same", "drop"} {
		for _, own := range []bool{false, true} {
			if late == "separate" && !own {
				continue // TestAnOutageHealsAtEverySink
			}
			t.Run(fmt.Sprintf("%s, own broker %v", late, own), func(t *testing.T) {
				plantPort, itPort := await.FreePort(t), await.FreePort(t)
				rig.Mosquitto(t, plantPort, "")
				tx, rx := mqttTables(plantPort, itPort, "5")
				if own {
					rx = fmt.Sprintf("[[mqtt]]\nchannel = \"cell-1\"\nlisten = \"mqtt://127.0.0.1:%d\"\n", itPort)
				} else {
					rig.Mosquitto(t, itPort, "")
				}
				g := newGateway(t, linktest.Profile{}, tx, rx+fmt.Sprintf("late = %q\n", late))
				g.Start()
				g.Ready()
				l := &listeners{port: itPort}
				subscriber5(t, itPort, "it", "#", l.add)
				s := &senders{t: t, controller: client5(t, plantPort, "plant", "", nil)}
				s.say(before)
				g.settled("cell-1", uint64(2*s.said))
				g.dark(s, during)
				g.Link.SetCut(false)
				s.say(after)
				g.Ready()
				l.lateAs(t, g, late, s.said, during)
				l.newest(t, s.said)
			})
		}
	}
}

// lateAs wants what is late at the topics at which it is to be, and all else live.
func (l *listeners) lateAs(t *testing.T, g *gateway, late string, n, during int) {
	t.Helper()
	marked := func(mark string) func(arrival) bool {
		return func(a arrival) bool { return a.topic == eventTopic && a.mark == mark }
	}
	if late == "drop" {
		a := g.settled("cell-1", uint64(2*n))
		if got := l.numbers(t, func(arrival) bool { return true }); len(missing(got, n)) != during {
			t.Errorf("got %v, want what left while the link was cut, and only that, to be missing", got)
		}
		if a.Delivered != uint64(2*(n-during)) {
			t.Errorf("got %s, want %d delivered", a, 2*(n-during))
		}
		t.Logf("%s", a)
		return
	}
	fits := map[string]func(arrival) bool{"separate": atTopic("late/" + eventTopic), "same": marked("1")}[late]
	g.healed("cell-1")
	await.NoError(t, "all messages", func() error {
		return onceInTwoOrders(l.numbers(t, func(a arrival) bool { return strings.HasSuffix(a.topic, eventTopic) }), n)
	})
	got := l.numbers(t, fits)
	if len(got) != during || !slices.IsSorted(got) || len(l.numbers(t, marked(""))) != n-during {
		t.Errorf("got %v late, want the %d that left while the link was cut", got, during)
	}
}
