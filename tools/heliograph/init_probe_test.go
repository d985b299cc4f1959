package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/ci/await"
	"heliograph/firmware/config"
	"heliograph/tools/initial"
	"heliograph/tools/initial/probe"
	"heliograph/tools/plant"
)

// simulated starts an OPC UA server and a broker, and returns their URLs.
func simulated(t *testing.T) (opcua, mqtt string) {
	t.Helper()
	s, err := plant.NewServer(100)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b, err := plant.NewBroker()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	await.NoError(t, "its endpoints", func() error { _, err := probe.Endpoints(t.Context(), s.Endpoint); return err })
	return s.Endpoint, "mqtt://" + b.Address
}

func TestInitShowsWhatThePlantAnswers(t *testing.T) {
	opcua, mqtt := simulated(t)
	args := []string{"init", "--opcua", opcua, "--mqtt", mqtt, "--mqtt-to", "mqtt://it", "--medium", "uart"}
	t.Chdir(t.TempDir())
	code, stdout, stderr := call(t, "", args...)
	if code != 0 || stderr != "" {
		t.Fatal(code, stdout, stderr)
	}
	for _, want := range []string{"offers, the strongest first:\n  None  anonymous\n",
		"  login as anonymous with None: ok\n",
		"  browse: ", " variables, ", "  state: about ", " on an idle line, ", "MQTT broker " + mqtt +
			": connected with MQTT 5"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing in %s", want, stdout)
		}
	}
	tx, warnings, err := config.LoadTX("tx.toml")
	if err != nil || tx.OPCUA[0].SecurityPolicy != "None" || len(warnings) != 1 {
		t.Error(err, warnings)
	}
	t.Chdir(t.TempDir())
	code, stdout, stderr = call(t, "", append(args, "--json", "--browse-nodes", "50")...)
	var said struct{ Found found }
	if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != 0 {
		t.Fatal(err, stdout, stderr)
	}
	f := said.Found
	if f.OPCUA.Login != "ok" || f.OPCUA.Space.Nodes != 50 || f.OPCUA.Space.Cut == "" || f.OPCUA.Carousel.Busy <= 0 ||
		f.MQTT.Version != "5" {
		t.Errorf("%+v %+v", f.OPCUA, f.MQTT)
	}
}

func TestInitWithAPlantThatDoesNotAnswer(t *testing.T) {
	opcua, mqtt := "opc.tcp://"+await.FreeAddress(t), "mqtt://"+await.FreeAddress(t)
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"OPC UA": {[]string{"--opcua", opcua}, 1, "connecting to " + opcua},
		"MQTT": {[]string{"--mqtt", mqtt, "--mqtt-to", "mqtt://it"}, 1,
			"connection refused: is the MQTT broker running, and is the port its own?\nnothing was written: --yes "},
		"both, with --yes": {[]string{"--opcua", opcua, "--mqtt", mqtt, "--mqtt-to", "mqtt://it", "--yes"}, 0,
			"\nGoing on without it.\n"},
		"both, with --offline": {[]string{"--opcua", opcua, "--mqtt", mqtt, "--mqtt-to", "mqtt://it", "--offline"}, 0,
			"Next:"},
		"a bad answer to a later question": {[]string{"--opcua", opcua, "--users-file", "nope"}, 2,
			`heliograph: --users-file "nope": file not found: nope` + "\n"},
		"no time to browse": {[]string{"--browse-time", "0s"}, 2,
			"--browse-time and --browse-nodes must be above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			code, stdout, stderr := call(t, "", append([]string{"init"}, c.args...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Error(code, stdout, stderr)
			}
			if written, _ := os.ReadDir("."); (len(written) == 3) != (code == 0) {
				t.Error(written)
			}
			if code == 0 {
				wellLaid(t, "")
			}
		})
	}
}

func TestOnlyOurCertificateMayBeUnknown(t *testing.T) {
	for err, want := range map[error]bool{
		fmt.Errorf("login: %w", ua.StatusBadSecurityChecksFailed): true,
		ua.StatusBadCertificateUntrusted:                          true,
		ua.StatusBadUserAccessDenied:                              false,
	} {
		if untrusted(err) != want {
			t.Error(err)
		}
	}
}

func TestACarouselTakesTheTimeOfItsLine(t *testing.T) {
	for name, c := range map[string]struct {
		a          initial.Answers
		idle, busy time.Duration
	}{
		"921600 baud": {initial.Answers{Medium: "uart", Baud: "921600", Overhead: "25%"}, 13563 * time.Millisecond,
			54253 * time.Millisecond},
		"100 Mbit/s": {initial.Answers{Medium: "udp", Rate: "100Mbit/s", Overhead: "25%"}, 100 * time.Millisecond,
			time.Second},
		"nothing": {initial.Answers{Medium: "udp"}, 0, 0},
	} {
		idle, busy := initial.Carousel(c.a, 1e6)
		if idle.Round(time.Millisecond) != c.idle || busy.Round(time.Millisecond) != c.busy {
			t.Errorf("%s: got %s and %s, want %s and %s", name, idle, busy, c.idle, c.busy)
		}
	}
}
