package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/config/users"
	"heliograph/tools/settings"
)

// initIn runs init in a folder of its own, with files named by their flags.
func initIn(t *testing.T, args ...string) (dir string, code int, out string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"ot.password", "it.password"} {
		if err := os.WriteFile(name, []byte("secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, stdout, stderr := call(t, "", append([]string{"init", "--offline"}, args...)...)
	return dir, code, stdout + stderr
}

// wellLaid reads the pair in the working directory, which has no fault and no warning.
func wellLaid(t *testing.T, board string) settings.Both {
	t.Helper()
	b, _ := boards.ByName(board)
	return laid(t, b, 0)
}

// laid reads the pair in the working directory, which has no fault and so many warnings.
func laid(t *testing.T, b boards.Board, warnings int) settings.Both {
	t.Helper()
	one, other := settings.Files{Board: b, Config: "tx.toml"}, settings.Files{Board: b, Config: "rx.toml"}
	if b.Console.Device != "" {
		one.Network, other.Network = "tx-network.toml", "rx-network.toml"
	}
	both, err := settings.Pair(one, other)
	if err != nil || len(both.Warnings) != warnings {
		tx, _ := os.ReadFile("tx.toml")
		rx, _ := os.ReadFile("rx.toml")
		t.Fatalf("%v %v\n%s\n%s", err, both.Warnings, tx, rx)
	}
	return both
}

func TestInitOfEachBoardAndMediumIsCheckedWithoutAWarning(t *testing.T) {
	all := []string{"--opcua", "opc.tcp://10.0.0.5:4840", "--opcua-user", "ot", "--opcua-password-file", "ot.password",
		"--mqtt", "mqtt://10.0.0.6", "--syslog", "udp://0.0.0.0:514", "--syslog-to", "tcp://siem:601",
		"--it-user", "ann", "--it-password-file", "it.password", "--ntp", "10.0.0.1, 10.0.0.2"}
	media := map[string][]string{
		"uart": nil, "udp": {"--address", "10.0.0.3:17000"}, "ethernet": {"--carrier", "1000base-x"},
	}
	for _, board := range append(strings.Split(boards.Names(), ", "), "host") {
		b, _ := boards.ByName(board)
		for medium, args := range media {
			if board != "host" && (medium == "uart" && b.Link.Device == "" ||
				medium == "ethernet" && len(b.Network.Drivers()) == 0) {
				continue
			}
			if medium == "ethernet" && b.Network.Link == "" {
				args = append(args, "--tx-interface", "mac:02:00:5e:10:00:01", "--rx-interface",
					"mac:02:00:5e:10:00:02")
			}
			if board != "host" {
				args = append(args, "--tx-ip", "10.0.0.2/24", "--tx-gateway", "10.0.0.1")
			}
			if board != "host" && medium == "ethernet" && b.Network.Link == "" {
				args = append(args, "--tx-own", "mac:02:00:5e:10:00:03", "--rx-own", "mac:02:00:5e:10:00:04")
			}
			t.Run(board+" "+medium, func(t *testing.T) {
				args := slices.Concat([]string{"--board", board, "--medium", medium}, args, all)
				if _, code, out := initIn(t, args...); code != 0 {
					t.Fatal(code, out)
				}
				wellLaid(t, board)
				if code, out, _ := call(t, "", "check", "tx.toml", "rx.toml"); code != 0 ||
					out != "tx.toml, rx.toml: no faults\n" { // without the board too
					t.Error(out)
				}
			})
		}
	}
}

func TestInitWritesWhatWasAnswered(t *testing.T) {
	dir, code, out := initIn(t, "--tx", "tx.toml", "--medium", "ethernet", "--tx-interface", "eth1", "--rx-interface",
		"eth2",
		"--opcua", "opc.tcp://plant:4840/path", "--opcua-channel", "line", "--opcua-security",
		"Aes256_Sha256_RsaPss/Sign",
		"--opcua-user", "ot", "--opcua-password-file", "ot.password", "--history", "7d", "--it-user", "ann",
		"--it-password-file", "it.password", "--rx-status", "none", "--overhead", "30%")
	if code != 0 {
		t.Fatal(code, out)
	}
	both := wellLaid(t, "")
	s, m := both.TX.OPCUA[0], both.RX.OPCUA[0]
	got := []string{s.Channel, s.Endpoint, s.SecurityPolicy, s.SecurityMode, s.Username, string(s.Password), m.Listen,
		m.History.Age.String(), both.RX.Status.Listen, both.RX.Link.Interface}
	want := []string{"line", "opc.tcp://plant:4840/path", "Aes256_Sha256_RsaPss", "Sign", "ot", "secret",
		"opc.tcp://0.0.0.0:4840", "168h0m0s", "", "eth2"}
	if !slices.Equal(got, want) || both.TX.Link.Overhead != 0.3 || both.TX.Link.Rate != 100e6 {
		t.Errorf("got %q, want %q; %+v", got, want, both.TX.Link)
	}
	if _, err := pairkey.Read("pair.key"); err != nil {
		t.Error(err)
	}
	u, err := users.Load(filepath.Join(dir, "users"))
	if err != nil || u.Len() != 1 {
		t.Error("users file", err)
	}
	for _, secret := range []string{"users", "pair.key"} {
		if info, err := os.Stat(secret); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", secret, info, err)
		}
	}
}

func TestInitNeverOverwrites(t *testing.T) {
	for _, name := range []string{"tx.toml", "rx.toml", "pair.key", "users"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			for _, file := range []string{name, "p"} {
				if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, stdout, stderr := call(t, "", "init", "--offline", "--mqtt", "mqtt://plant", "--it-user", "ann",
				"--it-password-file", "p")
			if code != 1 || !strings.HasPrefix(stderr, "heliograph: "+name+" exists already") || stdout != "" ||
				strings.Count(stderr, "\n") != 1 {
				t.Errorf("%d %s%s", code, stdout, stderr)
			}
			found, err := filepath.Glob("*")
			if text, _ := os.ReadFile(name); err != nil || len(found) != 2 || string(text) != "mine" {
				t.Errorf("%v %q", found, text)
			}
		})
	}
}

func TestInitUsesTheKeyThatIsNamed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.Mkdir("it", 0o755); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(t, "", "key", "new", "old.key")
	before, err := os.ReadFile("old.key")
	if code != 0 || err != nil {
		t.Fatal(stderr, err)
	}
	code, stdout, stderr := call(t, "", "init", "--key", "old.key", "--rx", "it/rx.toml", "--json")
	if code != 0 {
		t.Fatal(stdout, stderr)
	}
	var said struct {
		Files   []string `json:"files"`
		Existed bool     `json:"key_existed"`
	}
	if err := json.Unmarshal([]byte(stdout), &said); err != nil || !said.Existed ||
		!slices.Equal(said.Files, []string{"tx.toml", "it/rx.toml"}) {
		t.Errorf("%v %s", err, stdout)
	}
	after, _ := os.ReadFile("old.key")
	rx, _, err := config.LoadRX("it/rx.toml")
	if err != nil || string(before) != string(after) || filepath.Clean(rx.Link.KeyFile) != "old.key" {
		t.Error(err, rx.Link.KeyFile)
	}
}

func TestInitWritesNothingWhenTheAnswersDoNotDo(t *testing.T) {
	dir, code, out := initIn(t, "--mqtt", "mqtts://plant", "--mqtt-ca", "none.pem", "--mqtt-to", "mqtt://it")
	if code != 2 || !strings.Contains(out, `--mqtt-ca "none.pem": file not found: none.pem`) {
		t.Error(code, out)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 2 {
		t.Error(found)
	}
}

func TestInitSaysWhatToDoAboutABadAnswer(t *testing.T) {
	for want, args := range map[string][]string{
		`--pair "press hall": start with a letter or digit`:  {"--pair", "press hall"},
		`--board "rpi9": write one of host, rpi4b`:           {"--board", "rpi9"},
		`--medium "radio": write one of udp, ethernet, uart`: {"--medium", "radio"},

		`--baud "fast": write a number from 9600 to 4000000`:    {"--medium", "uart", "--baud", "fast"},
		`--baud "4000000": write a number from 9600 to 3125000`: {"--board", "rpi5", "--baud", "4000000"},
		`--baud does not go with the other answers: it needs`:   {"--baud", "9600"},
		`--tx-device "COM3": write the path of the serial port`: {"--medium", "uart", "--tx-device", "COM3"},
		`--tx-interface: write the interface`:                   {"--medium", "ethernet"},
		`--tx-interface: which interface`: {"--board", "rpi3bplus", "--medium",
			"ethernet"},
		`--address: write RX's own address, as in 10.0.0.3`: {"--board", "rpi4b", "--medium", "udp"},
		`--address "0.0.0.0:17000": TX cannot send to that`: {"--address", "0.0.0.0:17000"},
		`--address "10.0.0.3": write an address and a port`: {"--address", "10.0.0.3"},
		`that is the board itself: write RX's own address`: {"--board", "virt", "--medium", "udp",
			"--address", "127.0.0.1:1"},
		`--rate "fast": write a rate as "100Mbit/s"`:                  {"--rate", "fast"},
		`--overhead "25": write a share as "25%"`:                     {"--overhead", "25"},
		`--opcua "http://x": write an address such as opc.tcp://10.0`: {"--opcua", "http://x"},
		`the port must be a number from 1 to 65535`:                   {"--opcua", "opc.tcp://x:70000"},
		`--opcua-security "Basic128": write one of Aes256`: {"--opcua", "opc.tcp://x",
			"--opcua-security", "Basic128"},
		`--opcua-password-file: name a file`: {"--opcua", "opc.tcp://x", "--opcua-user",
			"ot"},
		`--opcua-password-file "none": file not found`: {"--opcua", "opc.tcp://x", "--opcua-user",
			"ot", "--opcua-password-file", "none"},
		`--opcua-user does not go with the other answers`:           {"--opcua-user", "ot"},
		`nothing is to cross: name at least one of --opcua, --mqtt`: {"--syslog", "none"},
		`--mqtt-channel "opcua": another channel has that name`: {"--opcua", "opc.tcp://x", "--mqtt",
			"mqtt://x", "--mqtt-channel", "opcua"},
		`--it-user: anyone could read at RX's built-in broker`:       {"--mqtt", "mqtt://x"},
		`--syslog "514": write an address such as udp://0.0.0.0:514`: {"--syslog", "514"},
		`--syslog-to: write the address of IT's collector`:           {"--address", "10.0.0.3:17000"},
		`--history "long": write a number with its unit, such as 30d`: {"--opcua", "opc.tcp://x", "--history",
			"long"},
		`--tx-status "9464": write an address and a port`:         {"--tx-status", "9464"},
		`--rx "tx.toml": heliotx has that file: name another one`: {"--rx", "tx.toml"},
		`--pair: write at most 1000 printable characters`:         {"--pair", "a\nb"},
		`--board "pc": write one of host`:                         {"--board", "pc", "--medium", "uart"},
		`"now": no argument is expected here`:                     {"now"},
		`--opcua is empty: give it a value, or leave it out`:      {"--opcua", ""},
		`--mqtt-topics is empty`:                                  {"--mqtt", "mqtt://x", "--mqtt-topics", ""},
		`--tx "bogus": write a name that ends in .toml`:           {"--tx", "bogus"},
		`--rx ".toml": write a name that ends in .toml`:           {"--rx", ".toml"},
		`tcp 127.0.0.1:9464 is already used with --tx-status: choose another port`: {"--tx-status", "127.0.0.1:9464",
			"--syslog", "tcp://127.0.0.1:9464"},
		`udp 0.0.0.0:5514 is already used with --syslog: choose`: {"--syslog", "udp://0.0.0.0:5514,udp://0.0.0.0:5514"},
		`--syslog is empty`: {"--syslog", "udp://:514", "--syslog", ""},
	} {
		t.Run(want, func(t *testing.T) {
			dir, code, out := initIn(t, args...)
			if code != 2 || !strings.Contains(out, want) {
				t.Errorf("%d, want 2: %s", code, out)
			}
			if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 2 {
				t.Error(found)
			}
		})
	}
}

func TestInitFindsInAnAnswerWhatCheckWouldFind(t *testing.T) {
	const opcua, broker = "--opcua opc.tcp://x ", "--mqtt mqtt://x "
	for args, want := range map[string]string{
		"--address 10.0.0.3:1 --peer-mac x":            `--peer-mac "x": it is not a MAC address such as "02`,
		"--peer-mac 02:00:5e:10:00:01":                 `--peer-mac "02:00:5e:10:00:01": it needs an address`,
		"--medium ethernet --tx-interface x/y":         `--tx-interface "x/y": `,
		"--ntp 10.0.0.1:x":                             `--ntp "10.0.0.1:x": `,
		"--ntp a!b":                                    `--ntp "a b": `,
		opcua + "--history 90000d":                     `--history "90000d": `,
		broker + "--mqtt-to mqtt://y --mqtt-topics a#": `--mqtt-topics "a#": `,
		broker + "--mqtt-to mqtts://y --mqtt-to-ca no": `--mqtt-to-ca "no": file not found: no`,
		opcua + "--users-file no":                      `--users-file "no": file not found: no`,
		opcua + "--users-file /dev/zero":               `--users-file "/dev/zero": it is not a file`,
		broker + "--users-file it.password":            `--users-file "it.password": users: it.password:1: not a`,
		broker + "--it-user ann --it-password-file no": `--it-password-file "no": there is no such file`,
		broker + "--it-user #a --it-password-file p":   `--it-user "#a": write a name`,
		"--it-user ann":                                `it needs --opcua, or --mqtt without --mqtt-to, and`,
		"--overhead 501%":                              `--overhead "501%": the share "501%" must not exceed 500%`,
		"--overhead NaN%":                              `--overhead "NaN%": write a share`,
		"--rate NaNGbit/s":                             `--rate "NaNGbit/s": write a rate`,
		"--rx-status 127.0.0.1:9464":                   `--rx-status "127.0.0.1:9464": TX has that port`,
		"--key tx.toml":                                `--key "tx.toml": heliotx has that file: name another one`,
		"--key ./rx.toml":                              `--key "./rx.toml": heliorx has that file: name another one`,
		"--key users":                                  `--key "users": the users list has that file: name another one`,
		"--key /bin":                                   `--key "/bin": is a folder and not a regular file`,
		"--key it.password":                            `--key "it.password": not a pair key`,
		"--key no/pair.key":                            `--key "no/pair.key": no file can be written`,
		"--tx /proc/tx.toml":                           `--tx "/proc/tx.toml": no file can be written`,
		"--rx no/rx.toml":                              `written in the folder no: no such file or directory`,
	} {
		t.Run(args, func(t *testing.T) {
			_, code, out := initIn(t, spaced(strings.Fields(args))...)
			if code != 2 || !strings.Contains(out, want) {
				t.Errorf("%d, want 2 and %s: %s", code, want, out)
			}
			if found, _ := filepath.Glob("*"); len(found) != 2 {
				t.Error(found)
			}
		})
	}
}

// spaced has a space in place of each "!".
func spaced(args []string) []string {
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "!", " ")
	}
	return args
}

func TestTheCommandsThatInitPrintsAreReal(t *testing.T) {
	for _, args := range [][]string{nil, {"--opcua", "opc.tcp://x"},
		{"--medium", "uart", "--syslog-to", "tcp://x:1"}, {"--board", "rpi4b", "--opcua", "opc.tcp://x"}} {
		_, code, out := initIn(t, append(args, "--json")...)
		var said struct {
			Next []struct{ Command string } `json:"next"`
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil || code != 0 || len(said.Next) < 3 {
			t.Fatal(code, err, out)
		}
		if strings.Contains(out, "heliograph cert new --config rx.toml") {
			t.Errorf("heliorx makes the key that signs the report itself: %s", out)
		}
		for _, step := range said.Next {
			if strings.HasPrefix(step.Command, "heliograph ") {
				if fault := commandFault(step.Command, true); fault != "" {
					t.Errorf("%s: %s", step.Command, fault)
				}
			}
		}
	}
}
