package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
	"heliograph/drivers/drivertest"
	"heliograph/firmware/conduit/linktest"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/tools/doctor"
)

// examine runs heliograph doctor --json, and wants exit code 1 with findings, 0 without.
func examine(args ...string) (r doctor.Result, err error) {
	c := exec.Command(filepath.Join(programs, "heliograph"), append([]string{"doctor", "--json"}, args...)...)
	out, failed := c.Output()
	if err := json.Unmarshal(out, &r); err != nil {
		return r, fmt.Errorf("%v %v: %q", failed, err, out)
	}
	if code := c.ProcessState.ExitCode(); code != min(len(r.Findings), 1) {
		return r, fmt.Errorf("exit code %d with %d findings", code, len(r.Findings))
	}
	return r, nil
}

// finds waits until doctor has a finding with words in its cause and cure.
func finds(t *testing.T, role *rig.Role, code, cause, cure string, args ...string) {
	t.Helper()
	await.NoError(t, "finding "+code, func() error {
		r, err := examine(append([]string{"--config", role.Config}, args...)...)
		for _, f := range r.Findings {
			if f.Code == code && strings.Contains(f.Cause, cause) && strings.Contains(f.Cure, cure) {
				return nil
			}
		}
		return fmt.Errorf("%v %+v; want cause %q and cure %q", err, r.Findings, cause, cure)
	})
}

// TestDoctorAsksARoleThatRuns has one finding for each cause that only a running role
// knows, and none while all is well.
func TestDoctorAsksARoleThatRuns(t *testing.T) {
	t.Parallel()
	g, in, _ := newSyslog(t)
	g.Start()
	g.Ready()
	for _, r := range []*rig.Role{g.TX, g.RX} {
		await.NoError(t, "no finding", func() error {
			result, err := examine("--config", r.Config)
			// nothing may keep the clock of the machine that runs the test
			result.Findings = slices.DeleteFunc(result.Findings,
				func(f diagnosis.Finding) bool { return f.Code == "clock" })
			if err == nil && (len(result.Findings) > 0 || result.Trust == nil) {
				err = fmt.Errorf("%+v", result)
			}
			return err
		})
	}
	if number := epochOf(t, g); number != "epoch 1" {
		t.Errorf("got %s, want the run that began before doctor", number)
	}
	g.TX.Stop()
	finds(t, g.RX, "silent", "silent for", "start heliotx")
	text := string(rig.Read(t, g.TX.Config))
	rig.Write(t, g.TX.Config, []byte(strings.Replace(text, `"syslog"`, `"sislog"`, 1)))
	g.TX.Start()
	finds(t, g.RX, "channel-name", "has no channel of this name (it has: sislog)", "one name in both files")
	g.TX.Stop()
	if err := pairkey.Create(filepath.Join(g.Dir, "other.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	rig.Write(t, g.TX.Config, []byte(strings.Replace(text, "pair.key", "other.key", 1)))
	g.TX.Start()
	finds(t, g.RX, "key-mismatch", "pair key does not open", "heliograph key show --config "+g.RX.Config)
	finds(t, g.RX, "key-mismatch", "is not the key of TX", "one pair.key", "--other", g.TX.Config)
	g.TX.Stop()
	busy, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", in))
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	rig.Write(t, g.TX.Config, []byte(text))
	g.TX.Start()
	finds(t, g.TX, "port-in-use", "another program has the port", "another port")
}

// epochOf is the number of TX's run.
func epochOf(t *testing.T, g *gateway) string {
	t.Helper()
	return strings.TrimSpace(tool(t, "epoch", "show", "--config", g.TX.Config))
}

// TestDoctorLogsIn asks a role whose status port wants a password.
func TestDoctorLogsIn(t *testing.T) {
	t.Parallel()
	g, _, _ := newSyslog(t)
	toolWith(t, "right\n", "user", "add", filepath.Join(g.Dir, "users"), "ann")
	text := string(rig.Read(t, g.RX.Config))
	text = strings.Replace(text, "[status]\n", "[status]\nusers_file = \"users\"\n", 1)
	text = strings.Replace(text, "listen = \"127", "listen = \"https://127", 1)
	rig.Write(t, g.RX.Config, []byte(text))
	g.RX.Start()
	finds(t, g.RX, "login", "asks for a user", "--user NAME --password-file FILE")
	password := filepath.Join(g.Dir, "password")
	rig.Write(t, password, []byte("right\n"))
	finds(t, g.RX, "silent", "nothing received", "start heliotx", "--user", "ann", "--password-file", password)
}

// TestDoctorNamesAnotherBaud has a receiver get what a UART reads at another baud.
func TestDoctorNamesAnotherBaud(t *testing.T) {
	t.Parallel()
	far, leave := drivertest.OpenPTY(t)
	_, rx := syslogTables(await.FreePort(t), await.FreePort(t))
	g := newGateway(t, linktest.Profile{}, "", rx)
	text := string(rig.Read(t, g.RX.Config))
	from, to := strings.Index(text, "medium"), strings.Index(text, "key_file")
	rig.Write(t, g.RX.Config, []byte(text[:from]+fmt.Sprintf("medium = \"uart\"\ndevice = %q\n", leave)+text[to:]))
	g.RX.Start()
	await.NoError(t, "the receiver is up", func() error { _, _, err := g.RX.Get("/healthz"); return err })
	if _, err := far.Write([]byte(strings.Repeat("\xfe\xe0\x1c\x00\x9f", 200))); err != nil {
		t.Fatal(err)
	}
	finds(t, g.RX, "baud", "bytes arrive", "same baud")
}

// TestDoctorNamesAccessRulesOfABroker has a broker that does not let the receiver publish.
func TestDoctorNamesAccessRulesOfABroker(t *testing.T) {
	t.Parallel()
	plant, it := await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, plant, "")
	rules := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(rules, []byte("topic write allowed/#\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rig.Mosquitto(t, it, "acl_file "+rules+"\n")
	tx, rx := mqttTables(plant, it, "auto")
	g := newGateway(t, linktest.Profile{}, tx, rx)
	g.Start()
	g.Ready()
	publish5(t, client5(t, plant, "p", "", nil), message{"plant/a", "1", 1, true})
	finds(t, g.RX, "mqtt-acl", "access control", "let the user publish there")
}
