package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/firmware/conduit/linktest"
	"heliograph/tools/pair"
)

var programs string // folder of the built programs

// parallel is how many tests run beside each other: they wait more than they work.
func parallel() int { return runtime.NumCPU() + 1 }

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(parallel())); err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "heliograph-e2e")
	if err == nil {
		err = rig.Build(dir, "firmware/cmd/heliotx", "firmware/cmd/heliorx", "tools/heliograph")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	programs = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// tagCount is how many tags the acceptance of OPC UA has: HELIOGRAPH_TAGS, or usual.
func tagCount(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("HELIOGRAPH_TAGS")); err == nil {
		return n
	}
	return usual
}

// tagBound bounds waits whose work grows with the tags.
func tagBound() time.Duration {
	return await.Bound + time.Duration(tagCount(0))*20*time.Millisecond
}

// gateway is a pair of roles and the link between them.
type gateway struct {
	*rig.Gateway
	t *testing.T
}

// newGateway prepares a pair over UDP.
func newGateway(t *testing.T, profile linktest.Profile, tx, rx string) *gateway {
	t.Helper()
	return &gateway{rig.NewUDP(t, programs, profile, tx, rx), t}
}

// newSerial prepares a pair over a UART.
func newSerial(t *testing.T, profile linktest.Profile, tx, rx string) *gateway {
	t.Helper()
	return &gateway{rig.NewSerial(t, programs, profile, tx, rx), t}
}

// tool runs heliograph and returns its output.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	return toolWith(t, "", args...)
}

// toolWith is tool with standard input.
func toolWith(t *testing.T, input string, args ...string) string {
	t.Helper()
	c := exec.Command(filepath.Join(programs, "heliograph"), args...)
	c.Stdin = strings.NewReader(input)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("heliograph %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// balanced waits until the account of a channel adds up at both ends, and returns it.
func (g *gateway) balanced(channel string) (a account) {
	g.t.Helper()
	await.NoError(g.t, "the account of "+channel+" adds up", func() error {
		a = account{g.RX.Channel(channel)}
		if a.Sent = g.TX.Channel(channel).Sent; a.Sent != a.Accounted() {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	return a
}

// settled waits until RX's account alone says that n were sent, and returns it. The
// identity has to hold each time.
func (g *gateway) settled(channel string, n uint64) (a account) {
	g.t.Helper()
	await.NoError(g.t, fmt.Sprintf("%d records on %s", n, channel), func() (err error) {
		if a, err = g.account(channel); err != nil {
			g.t.Error(err)
		}
		if a.Sent < n {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if a.Sent != n {
		g.t.Errorf("%s: got %s, want %d sent", channel, a, n)
	}
	return a
}

// account is a channel's account as RX alone states it.
func (g *gateway) account(channel string) (a account, err error) {
	a = account{g.RX.Channel(channel)}
	if a.Sent != a.Accounted() {
		err = fmt.Errorf("the identity does not hold: %s", a)
	}
	return a, err
}

// account is a channel's account.
type account struct{ pair.Channel }

func (a account) String() string {
	return fmt.Sprintf("sent %d, sum %d (delivered %d, refused %d, expired %d, conflated %d, lost %d, unknown %d)",
		a.Sent, a.Accounted(), a.Delivered, a.Refused, a.Expired, a.Conflated, a.Lost, a.Unknown)
}

// mqttTables is the channel cell-1 between two brokers.
func mqttTables(plant, it int, version string) (tx, rx string) {
	tx = fmt.Sprintf("[[mqtt]]\nchannel = \"cell-1\"\nbroker = \"mqtt://127.0.0.1:%d\"\nversion = %q\ntopics = "+
		"[\"#\"]\n",
		plant, version)
	rx = fmt.Sprintf("[[mqtt]]\nchannel = \"cell-1\"\nbroker = \"mqtt://127.0.0.1:%d\"\nversion = %q\n", it, version)
	return tx, rx
}

// newMQTT starts two brokers without limits, and prepares a pair between them. It
// returns the brokers' ports.
func newMQTT(t *testing.T, profile linktest.Profile, version string) (g *gateway, plant, it int) {
	t.Helper()
	plant, it = await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, rig.Unlimited)
	rig.Mosquitto(t, it, rig.Unlimited)
	tx, rx := mqttTables(plant, it, version)
	return newGateway(t, profile, tx, rx), plant, it
}

// syslogTables is the channel syslog from a TCP port to a collector's.
func syslogTables(in, out int) (tx, rx string) {
	tx = fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nlisten = [\"tcp://127.0.0.1:%d\"]\n", in)
	rx = fmt.Sprintf("[[syslog]]\nchannel = \"syslog\"\nforward = \"tcp://127.0.0.1:%d\"\n", out)
	return tx, rx
}

// newSyslog prepares a pair that carries lines over TCP to a collector. It returns the
// port that takes lines.
func newSyslog(t *testing.T) (g *gateway, in int, lines *collector) {
	t.Helper()
	in, lines = await.FreePort(t), newCollector(t)
	tx, rx := syslogTables(in, lines.port)
	return newGateway(t, linktest.Profile{}, tx, rx), in, lines
}
