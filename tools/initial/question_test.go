package initial

import (
	"slices"
	"strings"
	"testing"
)

func TestAnswersThatOthersMadePointlessAreEmptied(t *testing.T) {
	a := Answers{OPCUAChannel: "line", OPCUALogin: Login{Name: "ot",
		Password: "secret"}} // of a server that was dropped
	for _, p := range []Page{PageOPCUA, PageOPCUAPassword} {
		if err := Complete(p, &a, nil); err != nil {
			t.Fatal(err)
		}
	}
	if a.OPCUAChannel != "" || a.OPCUALogin != (Login{}) {
		t.Errorf("%+v", a)
	}
	a.OPCUAChannel = "line"
	if err := Complete(PageOPCUA, &a, Given{"opcua-channel": true}); err == nil ||
		!strings.HasPrefix(err.Error(), "--opcua-channel does not go with the other answers") {
		t.Error(err)
	}
}

func TestEachQuestionIsOnItsPageAfterWhatItDependsOn(t *testing.T) {
	seen, last := map[string]bool{}, map[Page]bool{}
	for _, q := range Questions() {
		if seen[q.Flag] || q.Title == "" || q.Help == "" || q.Page.Title() == "" ||
			(q.Asked != nil) != (q.Needs != "") {
			t.Errorf("%+v", q)
		}
		seen[q.Flag], last[q.Page] = true, true
	}
	if len(last) != len(Pages()) {
		t.Errorf("%d of %d pages have a question", len(last), len(Pages()))
	}
}

func TestAHintSaysMoreThanItsTitle(t *testing.T) {
	for flag := range hints() {
		q := Questions()[indexOf(flag)]
		same := 0
		for _, word := range strings.Fields(strings.ToLower(q.Hint())) {
			if len(word) > 4 && strings.Contains(strings.ToLower(q.Title), word) {
				same++
			}
		}
		if same > 1 || strings.Contains(q.Hint(), "none:") {
			t.Errorf("%s: %q below %q", flag, q.Hint(), q.Title)
		}
	}
}

func TestEachFaultOfAConfigurationHasItsQuestion(t *testing.T) {
	for key, flag := range landings() {
		if indexOf(flag) < 0 {
			t.Errorf("%s: there is no question %s", key, flag)
		}
	}
	a := Answers{TX: "tx.toml", RX: "rx.toml", Pair: "a b", Board: host, Medium: uart, TXDevice: "tty", Baud: "1",
		Overhead: "9", NTP: "x:y", TXStatus: "9464", RXDevice: "/dev/x", MQTT: "mqtt://x", MQTTChannel: "m",
		MQTTTopics: "a#", MQTTTo: "mqtts://y", MQTTToAuthority: "none"}
	var flags []string
	for _, f := range Faults(a) {
		flags = append(flags, f.Flag)
	}
	want := []string{"pair", "tx-device", "baud", "overhead", "ntp", "tx-status", "mqtt-topics", "mqtt-to-ca"}
	if !slices.Equal(flags, want) {
		t.Errorf("got %q, want %q", flags, want)
	}
}

func TestAFaultOfAPasswordDoesNotShowIt(t *testing.T) {
	a := Answers{OPCUA: "opc.tcp://x", OPCUALogin: Login{Name: "ot", Password: "sec\nret"}}
	if err := Complete(PageOPCUAPassword, &a, nil); err == nil || strings.Contains(err.Error(), "sec") {
		t.Error(err)
	}
}

func TestSecretsAreInFilesOfTheirOwn(t *testing.T) {
	a := Answers{TX: "plant/tx.toml", RX: "it/rx.toml", Key: "plant/pair.key", Pair: "hall", Board: host, Medium: udp,
		Address: "10.0.0.3:17000", MQTT: "mqtt://x", MQTTTo: "mqtt://y", MQTTLogin: Login{Name: "ot",
			Password: "secret-1"},
		MQTTToLogin: Login{Name: "it", File: "it/old.password", Password: "secret-2"}}
	files := map[string]File{}
	for _, f := range Files(a) {
		files[f.Path] = f
		if strings.Contains(f.Content, "secret-") != f.Secret {
			t.Errorf("%+v", f)
		}
	}
	if f := files["plant/mqtt.password"]; len(files) != 3 || f.Content != "secret-1\n" || !f.Secret {
		t.Errorf("%+v", files)
	}
	for path, want := range map[string][]string{
		"plant/tx.toml": {`password_file = "mqtt.password"`, `key_file = "pair.key"`},
		"it/rx.toml":    {`password_file = "old.password"`, `key_file = "../plant/pair.key"`},
	} {
		for _, line := range want {
			if !strings.Contains(files[path].Content, line) {
				t.Errorf("%q is not in %s", line, files[path].Content)
			}
		}
	}
}

// The suggested name of a further channel is the one that the file of the first source has.
func TestEachTypedPasswordHasAFileOfItsOwn(t *testing.T) {
	typed := func(password string) Login { return Login{Name: "u", Password: password} }
	a := Answers{TX: "tx.toml", RX: "rx.toml", Key: "pair.key", Pair: "hall", Board: host, Medium: udp,
		Address: "10.0.0.3:17000", OPCUA: "opc.tcp://a", OPCUAChannel: "line", OPCUALogin: typed("p1"),
		MQTT: "mqtt://b", MQTTChannel: "cell", MQTTLogin: typed("p2"), MQTTTo: "mqtt://it", MQTTToLogin: typed("p3")}
	opcua, mqtt, same, other := a.Further("opcua"), a.Further("mqtt"), a.Further("mqtt"), a.Further("opcua")
	opcua.OPCUA, opcua.OPCUAChannel, opcua.OPCUALogin = "opc.tcp://c", "opcua", typed("p4")
	mqtt.MQTT, mqtt.MQTTChannel, mqtt.MQTTLogin, mqtt.MQTTToLogin = "mqtt://d", "mqtt", typed("p5"), typed("p6")
	same.MQTT, same.MQTTChannel = "mqtt://e", "hall"
	other.OPCUA, other.OPCUAChannel, other.OPCUALogin = "opc.tcp://f", "it-mqtt", typed("p7")
	a.More = []Answers{opcua, mqtt, same, other}
	got := map[string]string{}
	for _, f := range Files(a) {
		if _, twice := got[f.Path]; twice {
			t.Errorf("%s is written twice", f.Path)
		}
		if got[f.Path] = f.Content; f.Secret {
			got[f.Path] = strings.TrimSpace(f.Content)
		}
	}
	for file, named := range map[string][]string{"tx.toml": {"p1", "p2", "p4", "p5", "p7"},
		"rx.toml": {"p3", "p6", "p3"}} {
		var passwords []string
		for line := range strings.Lines(got[file]) {
			if key, value, _ := strings.Cut(line, " = "); strings.TrimSpace(key) == "password_file" {
				passwords = append(passwords, got[strings.Split(value, `"`)[1]])
			}
		}
		if !slices.Equal(passwords, named) {
			t.Errorf("%s: got logins with %q, want %q", file, passwords, named)
		}
	}
	if got["opcua.password"] != "p1" || got["it-mqtt.password"] != "p3" || len(got) != 9 {
		t.Errorf("got %q, want the first source's under their names", got)
	}
}
