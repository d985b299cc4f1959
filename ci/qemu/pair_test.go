package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"
	"golang.org/x/sys/unix"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/conduit/linktest/relay"
	"heliograph/firmware/opcua/client"
	"heliograph/firmware/opcua/rawvalue"
	"heliograph/firmware/platform/status"
	"heliograph/tools/console"
	"heliograph/tools/plant"
)

// common is the configuration of both boards. An emulated UART takes 40 kB/s at best,
// and on a busy machine half of that.
const common = `pair = "press-hall"

[link]
medium   = "uart"
device   = "/dev/ttyAMA0"
baud     = 115200
key_file = "Paarschlüssel.key"

[status]
listen = "0.0.0.0:9464"

`

// excludeTypes keeps most of namespace 0 in the plant, which an emulated board has to carry.
const excludeTypes = `exclude = ["/Types/**", "/Objects/Server/ServerCapabilities/**", "/Objects/Server/ServerDiagnostics/**"]
`

// tagCount is how many tags the plant has.
const tagCount = 20

// pair is two boards on one UART, with a plant before and clients behind them.
type pair struct {
	tx, rx    *machine
	rxCard    string
	rxWiring  wiring
	txSpare   string // card like TX's first, which no board has run from
	txWiring  wiring
	link      *linktest.Link
	wire      *os.File // the end at RX
	back      string   // file that takes what RX puts on the link
	broker    int      // the plant's mosquitto
	lines     int      // port of the TX board that takes syslog
	outlet    int      // port of the RX board's broker
	mirror    string   // URL
	tags      *plant.Server
	collector *collector
}

// TestPairOfBoards runs two boards through faults: what the plant sends
// arrives at clients, over a line that damages bytes; the LED, the console and
// the status page say what is true; and they recover from
// each fault.
func TestPairOfBoards(t *testing.T) {
	for _, name := range []string{"qemu-system-aarch64", "mcopy", "mosquitto", "mosquitto_pub", "mosquitto_sub"} {
		need(t, name)
	}
	p := newPair(t)
	p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
	p.contentArrives(t, "first")
	p.rx.stands(t, "GOOD")
	p.ledsSay(t, 0.75, 1)

	t.Run("link cut, and restored", func(t *testing.T) {
		p.link.Set(linktest.Profile{Cut: true})
		p.rx.stands(t, "LINK LOST")
		p.ledsSay(t, 0.35, 0)
		p.valueIs(t, ua.StatusUncertainLastUsableValue, ua.StatusUncertainNoCommunicationLastUsableValue)
		p.link.Set(linktest.Profile{})
		p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
		p.valueIs(t, ua.StatusOK)
		p.contentArrives(t, "after the cut")
	})
	t.Run("role killed, and started again", func(t *testing.T) {
		p.rx.press(t, "kyes\r")
		p.rx.shows(t, "msg=starting program=heliorx", 2)
		p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
		p.contentArrives(t, "after the role's restart")
	})
	t.Run("role frozen, and the board reset by its watchdog", func(t *testing.T) {
		// The emulator's UART, unlike a real PL011, keeps a full FIFO over a reset,
		// and never says so to the kernel that comes up: the line is quiet meanwhile.
		p.link.Set(linktest.Profile{Cut: true})
		p.rx.press(t, "wyes\r")
		p.rx.shows(t, "board up", 2)
		if screen := p.rx.screen.String(); !strings.Contains(screen, "state=STUCK") {
			t.Errorf("the console never said that the role is stuck:\n%s", screen)
		}
		p.rx.shows(t, "msg=starting program=heliorx", 3)
		p.link.Set(linktest.Profile{})
		p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
		p.contentArrives(t, "after the reset")
	})
	t.Run("power cut while lines wait for their collector", func(inner *testing.T) { p.powerCut(inner, t) })
	t.Run("power of RX off while the plant goes on", func(inner *testing.T) { p.outage(inner, t) })
	t.Run("TX's card lost, and a new one accepted on RX's console", func(inner *testing.T) { p.replaced(inner, t) })
	t.Run("self-test, by heliograph console", func(t *testing.T) {
		port, err := console.Open(p.rx.cable(t))
		if err != nil {
			t.Fatal(err)
		}
		defer port.Close()
		// A machine that stood still for seconds has lost bytes in that minute: not in the next.
		p.rx.until(t, "a self-test without a fault", func() error {
			return selfTested(port, " passed, 0 failed, ", "one direction only: 0 characters sent, ",
				"pass        the link's port keeps up with its rate: ")
		})
	})
	if got, err := os.ReadFile(p.back); len(got) != 0 || err != nil {
		t.Errorf("RX put %d bytes on the link, %v; want none; they begin with %q", len(got), err,
			got[:min(len(got), 100)])
	}
}

// selfTested asks a board's console for its self-test, which has to contain all this.
func selfTested(port console.Port, want ...string) error {
	bundle, err := console.Ask(port, 'd', "diagnostics", firstBound)
	if err != nil {
		return err
	}
	for _, w := range want {
		if !strings.Contains(string(bundle), w) {
			return fmt.Errorf("it does not say %q:\n%s", w, bundle)
		}
	}
	return nil
}

// powerCut takes RX's power away while it writes lines down for a collector that is
// away. What it had taken two seconds before is there after the next boot: it writes
// down each second what it has.
// The machine that comes up lives as long as the test around this one.
func (p *pair) powerCut(t, outer *testing.T) {
	p.collector.close()
	var kept []string
	delivered := map[time.Time]uint64{}
	base := p.taken(t)
	for i := range 100 {
		word := fmt.Sprintf("line-%03d", i)
		p.log(t, word)
		kept = append(kept, word)
		time.Sleep(50 * time.Millisecond) // apart, as lines of devices are
		delivered[time.Now()] = p.taken(t) - base
	}
	cut := time.Now()
	p.rx.cut()
	safe := uint64(0)
	for at, n := range delivered {
		if cut.Sub(at) >= 2*time.Second {
			safe = max(safe, n)
		}
	}
	if safe < 10 {
		t.Fatalf("RX took %d lines in three seconds: got too little to tell", safe)
	}
	p.collector.open(t)
	p.quiet(t) // a real wire keeps nothing for a receiver that is off
	p.rx = boot(outer, p.rxCard, p.rxWiring)
	p.rx.shows(t, "msg=starting program=heliorx", 1)
	p.link.Set(linktest.Profile{})
	p.rx.until(t, fmt.Sprintf("the first %d lines at the collector", safe), func() error {
		for _, word := range kept[:safe] {
			if !p.collector.has(word) {
				return fmt.Errorf("%s is not there", word)
			}
		}
		return nil
	})
	p.rx.answers(t, "http://"+p.rxWiring.status+"/readyz")
	p.contentArrives(t, "after the power cut")
	if screen := p.rx.screen.String(); strings.Contains(screen, "data partition formatted") {
		t.Errorf("the data partition was formatted:\n%s", screen)
	}
}

// quiet cuts the link, and empties what stands for the wire.
func (p *pair) quiet(t *testing.T) {
	t.Helper()
	p.link.Set(linktest.Profile{Cut: true})
	if err := p.wire.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, p.wire) // ends at the deadline
}

// taken returns how many lines RX has delivered.
func (p *pair) taken(t *testing.T) uint64 {
	t.Helper()
	return count(t, p.rxWiring, "syslog", func(c status.Channel) *uint64 { return c.Delivered })
}

// count returns a count of a board's channel, as soon as it has one.
func count(t *testing.T, board wiring, channel string, of func(status.Channel) *uint64) (n uint64) {
	t.Helper()
	await.NoError(t, "the status of "+board.status, func() error { // a board that is late has its connections closed
		r, err := web.Get("http://" + board.status + "/status.json")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		var got status.Snapshot
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&got); err != nil {
			return err
		}
		counted := of(got.Channels[channel])
		if counted == nil {
			return errors.New("no count of " + channel)
		}
		n = *counted
		return nil
	})
	return n
}

func newPair(t *testing.T) *pair {
	t.Helper()
	folder := t.TempDir()
	sent, received := filepath.Join(folder, "tx"), filepath.Join(folder, "rx.in")
	p := &pair{back: filepath.Join(folder, "rx.out"), broker: await.FreePort(t), lines: await.FreePort(t),
		outlet: await.FreePort(t),
		link:   linktest.New(1, linktest.Profile{})}
	for _, name := range []string{sent, received} {
		if err := unix.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(p.back, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Mosquitto(t, p.broker, "")
	tags, err := plant.NewServer(tagCount)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tags.Close() })
	p.collector = &collector{address: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t))}
	p.collector.open(t)
	t.Cleanup(p.collector.close)
	mirror := await.FreePort(t)
	p.mirror, p.tags = fmt.Sprintf("opc.tcp://127.0.0.1:%d", mirror), tags

	// RX first: what TX sends before would have to heal.
	p.rxCard = build(t, "rx", "stale_after = \"5s\"\n"+common+fmt.Sprintf(`[[mqtt]]
channel = "cell-1"
listen = "mqtt://0.0.0.0:1883"

[[syslog]]
channel = "syslog"
forward = "tcp://10.0.2.2:%s"

[[opcua]]
channel = "press-line"
listen = "opc.tcp://0.0.0.0:4840"
security = ["None"]
anonymous = true
history = "1h"
history_size = "16MiB"
`, strings.TrimPrefix(p.collector.address, "127.0.0.1:")))
	p.rxWiring = wiring{
		status: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t)), link: "pipe,path=" + filepath.Join(folder, "rx"),
		ports: []string{fmt.Sprintf("tcp:127.0.0.1:%d-:1883", p.outlet), fmt.Sprintf("tcp:127.0.0.1:%d-:4840", mirror)},
	}
	p.rx = boot(t, p.rxCard, p.rxWiring)
	p.rx.answers(t, "http://"+p.rxWiring.status+"/healthz")
	p.wire = carry(t, sent, received, p.link)
	txCard := build(t, "tx", common+fmt.Sprintf(`[replay]
disk = "64MiB"

[[mqtt]]
channel = "cell-1"
broker = "mqtt://10.0.2.2:%d"

[[syslog]]
channel = "syslog"
listen = ["udp://0.0.0.0:514"]

[[opcua]]
channel = "press-line"
endpoint = "%s"
security_policy = "None"
publishing_interval = "1s"
%s`, p.broker, strings.Replace(tags.Endpoint, "127.0.0.1", "10.0.2.2", 1), excludeTypes))
	p.txSpare = duplicate(t, txCard)
	p.txWiring = wiring{
		status: fmt.Sprintf("127.0.0.1:%d", await.FreePort(t)), link: "file,path=" + sent,
		ports: []string{fmt.Sprintf("udp:127.0.0.1:%d-:514", p.lines)},
	}
	p.tx = boot(t, txCard, p.txWiring)
	p.tx.shows(t, "msg=starting program=heliotx", 1)
	p.link.Set(linktest.Profile{BitErrors: 1e-6, DropBytes: 1e-6})
	return p
}

// carry carries bytes from one FIFO to another. Both are opened for both
// directions, so that neither end waits for the other's machine. It returns the
// second.
func carry(t *testing.T, from, to string, link *linktest.Link) (end *os.File) {
	t.Helper()
	in, err := os.OpenFile(from, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(to, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// A wire holds nothing, so little is held here: what a slow machine's RX does not
	// take in some seconds is lost, as at a real port.
	for _, f := range []*os.File{in, out} {
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { _, err = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, 4096) })
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	buffer := relay.Buffer(out, 8<<10)
	done := make(chan error)
	go func() { done <- relay.Stream(ctx, in, buffer, link, 0) }()
	t.Cleanup(func() { stop(); in.Close(); <-done; buffer.Close(); out.Close() })
	return out
}

// contentArrives has the plant say a word in each protocol, and waits for it at
// clients on the other side.
func (p *pair) contentArrives(t *testing.T, word string) {
	t.Helper()
	publish(t, p.broker, word)
	p.rx.until(t, "a retained message at a client of RX's broker", func() error {
		got, err := exec.CommandContext(t.Context(), "mosquitto_sub", "-p", fmt.Sprint(p.outlet), "-t", "hall/word",
			"-C", "1", "-W", "5").CombinedOutput()
		if strings.TrimSpace(string(got)) != word {
			return fmt.Errorf("got %q, %v; want %q", got, err, word)
		}
		return nil
	})
	p.rx.until(t, "a line at the collector", func() error {
		if p.collector.has(word) {
			return nil
		}
		p.log(t, word) // again: the way to TX is a datagram's
		return errors.New("none yet")
	})
	p.valueIs(t, ua.StatusOK)
}

// log has a device in the plant say a line.
func (p *pair) log(t *testing.T, word string) {
	t.Helper()
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", p.lines))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "<134>Nov 24 02:00:00 press heliograph: %s", word)
}

func publish(t *testing.T, port int, word string) {
	t.Helper()
	await.NoError(t, "publishing", func() error {
		said, err := exec.Command("mosquitto_pub", "-p", fmt.Sprint(port), "-t", "hall/word", "-r", "-q", "1",
			"-m", word).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, said)
		}
		return nil
	})
}

// valueIs waits until the mirror gives a tag with one of these codes.
func (p *pair) valueIs(t *testing.T, want ...ua.StatusCode) {
	t.Helper()
	p.rx.until(t, fmt.Sprintf("a tag at the mirror is %v", want), func() error {
		s, err := client.Connect(t.Context(), client.Config{Endpoint: p.mirror, Policy: "None", ApplicationName: "it"})
		if err != nil {
			return err
		}
		defer s.Close()
		var got ua.StatusCode
		err = s.Read(t.Context(), []client.ReadItem{{Node: plant.Tag(1), Attribute: ua.AttributeIDValue}}, 0,
			func(_ int, dv rawvalue.DataValue) { got = dv.Status })
		if err != nil {
			return err
		}
		for _, w := range want {
			if got == w {
				return nil
			}
		}
		return fmt.Errorf("got %v", got)
	})
}

// ledsSay looks at RX's LEDs from outside the machine: the heartbeat is lit for
// about this share of the time, the link's LED always or never.
func (p *pair) ledsSay(t *testing.T, beat, link float64) {
	t.Helper()
	p.rx.until(t, "RX's LEDs", func() error {
		b, l := p.rx.lit(t, pl061, 0), p.rx.lit(t, pl061, 1)
		if b < beat-0.25 || b > beat+0.25 || l != link {
			return fmt.Errorf("heartbeat %.2f of the time, link %.2f; want about %.2f and %.2f", b, l, beat, link)
		}
		return nil
	})
}
