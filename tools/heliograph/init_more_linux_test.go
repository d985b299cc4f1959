package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

func TestInitTakesSeveralSourcesOfAKind(t *testing.T) {
	_, code, out := initIn(t, "--address", "10.0.0.3:17000", "--opcua", "opc.tcp://a:4840", "--opcua", "opc.tcp://b",
		"--opcua-channel", "line", "--opcua-user", "ot", "--opcua-password-file", "ot.password", "--mqtt", "mqtt://m",
		"--mqtt", "mqtt://n", "--mqtt", "mqtt://o", "--mqtt-channel", "m", "--mqtt-channel", "mqtt", "--mqtt-topics",
		"a/#",
		"--mqtt-topics", "b/#", "--mqtt-to", "mqtt://it", "--syslog", "udp://0.0.0.0:5514", "--syslog",
		"tcp://0.0.0.0:5515", "--syslog-to", "tcp://siem:601", "--it-user", "ann", "--it-password-file", "it.password")
	if code != 0 {
		t.Fatal(code, out)
	}
	both := wellLaid(t, "")
	tx, rx := both.TX, both.RX
	var got []string
	for _, s := range tx.OPCUA {
		got = append(got, s.Channel+" "+s.Endpoint+" "+s.Username)
	}
	for _, s := range tx.MQTT {
		got = append(got, s.Channel+" "+s.Broker+" "+strings.Join(s.Topics, ","))
	}
	for _, s := range tx.Syslog {
		got = append(got, s.Channel+" "+s.Listen[0])
	}
	for _, s := range rx.OPCUA {
		got = append(got, s.Listen+" "+s.UsersFile)
	}
	want := "line opc.tcp://a:4840 ot|opcua opc.tcp://b:4840 |m mqtt://m:1883 a/#|mqtt mqtt://n:1883 b/#|" +
		"mqtt-2 mqtt://o:1883 #|syslog udp://0.0.0.0:5514|syslog-2 tcp://0.0.0.0:5515|opc.tcp://0.0.0.0:4840 users|" +
		"opc.tcp://0.0.0.0:4841 users"
	if strings.Join(got, "|") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, "|"), want)
	}
}

func TestInitFindsWhichSourceAFlagIsAbout(t *testing.T) {
	for args, want := range map[string]string{
		"--mqtt mqtt://x --mqtt-topics a --mqtt-topics b": "--mqtt-topics is given 2 times, and --mqtt 1 times",
		"--opcua opc.tcp://x --opcua opc.tcp://y --opcua-channel a --opcua-channel a": `--opcua-channel "a": another ` +
			"channel has that name",
		"--opcua opc.tcp://x --opcua http://y": `--opcua "http://y": write an address`,
	} {
		_, code, out := initIn(t, strings.Fields(args)...)
		if code != 2 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, want 2 and %s: %s", args, code, want, out)
		}
		if _, err := os.Stat("tx.toml"); err == nil {
			t.Errorf("%s: it wrote", args)
		}
	}
}

func TestInitFindsPortsThatCannotBeHad(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken, free := l.Addr().String(), await.FreeAddress(t)
	_, port, _ := net.SplitHostPort(free)
	for args, want := range map[string]string{
		"--tx-status " + taken: fmt.Sprintf("--tx-status %q: another program has that port on this machine: write "+
			"127.0.0.1:", taken),
		"--tx-status " + free + " --opcua opc.tcp://x --opcua-listen opc.tcp://" + free: fmt.Sprintf("--tx-status %q: "+
			"--opcua-listen has that port on this machine: write 127.0.0.1:", free),
		"--offline --it-user ann --it-password-file it.password --mqtt mqtt://localhost:" + port + " --mqtt-listen " +
			"mqtt://0.0.0.0:" + port: "--mqtt has that port on this machine: write mqtt://0.0.0.0:",
		"--offline --opcua opc.tcp://" + free + " --rx-status " + free: fmt.Sprintf("--rx-status %q: --opcua has that "+
			"port on this machine: write 127.0.0.1:", free),
	} {
		_, code, out := initIn(t, append(strings.Fields(args), "--address",
			"127.0.0.1:"+fmt.Sprint(await.FreePort(t)))...)
		if code != 2 || !strings.Contains(out, want) {
			t.Errorf("%s: %d, want 2 and %s: %s", args, code, want, out)
		}
		if _, err := os.Stat("tx.toml"); err == nil {
			t.Errorf("%s: it wrote", args)
		}
	}
	// What no one has asked for gives way.
	if l, err := net.Listen("tcp", "127.0.0.1:9464"); err == nil { // else another program has it
		defer l.Close()
	}
	_, code, out := initIn(t, "--json")
	var said struct{ Warnings []string }
	printed := out[max(0, strings.Index(out, "{\n")):]
	if err := json.NewDecoder(strings.NewReader(printed)).Decode(&said); err != nil ||
		!strings.Contains(strings.Join(said.Warnings, "\n"), "was taken instead") {
		t.Errorf("got warnings %q, %v of %s; want what was taken instead", said.Warnings, err, out)
	}
	if both := wellLaid(t, ""); code != 0 || both.TX.Status.Listen == "127.0.0.1:9464" ||
		!strings.Contains(out, "--tx-status 127.0.0.1:9464: another program has that port") {
		t.Error(code, out, both.TX.Status)
	}
}

func TestInitAsksTheBrokerOfIT(t *testing.T) {
	_, plant := simulated(t)
	lets, refuses := await.FreePort(t), await.FreePort(t)
	rig.Mosquitto(t, lets, "")
	rig.Mosquitto(t, refuses, "allow_anonymous false\n")
	collector, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer collector.Close()
	args := func(to string) []string {
		return []string{"init", "--json", "--medium", "uart", "--mqtt", plant, "--mqtt-to", to, "--syslog",
			"udp://127.0.0.1:5514", "--syslog-to", "tcp://" + collector.Addr().String()}
	}
	for to, want := range map[string]string{
		fmt.Sprintf("mqtt://127.0.0.1:%d", lets): "5", "mqtt://" + await.FreeAddress(t): "",
	} {
		t.Chdir(t.TempDir())
		code, stdout, stderr := call(t, "", args(to)...)
		var said struct{ Found found }
		if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != 0 {
			t.Fatal(code, err, stdout, stderr)
		}
		f := said.Found
		if f.ITMQTT == nil || f.ITMQTT.Version != want || (want == "") != strings.Contains(f.ITMQTT.Fault, "refused") ||
			f.ITSyslog == nil || f.ITSyslog.Fault != "" {
			t.Errorf("%s: %+v %+v, want version %q", to, f.ITMQTT, f.ITSyslog, want)
		}
	}
	t.Chdir(t.TempDir())
	code, stdout, stderr := call(t, "", args(fmt.Sprintf("mqtt://127.0.0.1:%d", refuses))...)
	if code != 1 || !strings.Contains(stderr, "IT's broker: the broker refuses the connection") {
		t.Error(code, stdout, stderr)
	}
	if _, err := os.Stat("tx.toml"); err == nil {
		t.Error("it wrote")
	}
}
