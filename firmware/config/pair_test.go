package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/firmware/config/pairkey"
)

const (
	pairTX = `pair = "hall"
[link]
medium = "uart"
device = "/dev/ttyAMA0"
key_file = "pair.key"
[state]
directory = "state-tx"
[[mqtt]]
channel = "cell"
broker = "mqtt://plant"
[[syslog]]
channel = "log"
listen = ["udp://0.0.0.0:514"]
`
	pairRX = `pair = "hall"
[link]
medium = "uart"
device = "/dev/ttyS0"
key_file = "pair.key"
[state]
directory = "state-rx"
[[mqtt]]
channel = "cell"
listen = "mqtt://0.0.0.0:1883"
[[syslog]]
channel = "log"
forward = "tcp://siem:601"
`
)

func TestPairsAreCompared(t *testing.T) {
	udp := func(address string) []string {
		return []string{"medium = \"uart\"", "medium = \"udp\"", "device = \"/dev/ttyAMA0\"", "address = \"" +
			address + "\"", "device = \"/dev/ttyS0\"", "address = \"" + address + "\""}
	}
	for name, c := range map[string]struct {
		both, tx, rx []string // what is replaced by what
		otherKey     bool
		want         string // "": no fault
		warning      string
	}{
		"that fit": {},
		"name": {rx: []string{"hall", "mill"},
			want: "rx.toml:1: pair is \"mill\", and \"hall\" on line 1 of TX's file: both sides need the same"},
		"medium": {rx: udp("0.0.0.0:1"), want: "rx.toml:3: medium is \"udp\", and \"uart\" on line 3 of TX's file"},
		"baud": {rx: []string{"key_file", "baud = 115200\nkey_file"},
			want: "rx.toml:5: baud is 115200, and 921600 on"},
		"channel at TX alone": {rx: []string{"\"log\"", "\"logs\""},
			want: "tx.toml:12: channel \"log\" (syslog) has no table in RX's file: add one, or remove it here\n" +
				"rx.toml:12: channel \"logs\" (syslog) has no table in TX's file: add one, or remove it here"},
		"protocol": {tx: []string{"\"log\"", "\"x\"", "\"cell\"", "\"log\"", "\"x\"", "\"cell\""},
			want: "rx.toml:9: channel \"cell\" is mqtt, and syslog on line 12 of TX's file: both sides need the " +
				"same protocol\nrx.toml:12: channel \"log\" is syslog, and mqtt on line 9 of " +
				"TX's file: both sides need the same protocol"},
		"key": {otherKey: true,
			want: "rx.toml:5: key_file: rx.key is not the key of TX, pair.key: copy one"},
		"address": {both: udp("10.0.0.3:1"), tx: []string{"10.0.0.3", "10.0.0.4"},
			warning: "RX listens on 10.0.0.3:1"},
		"port":          {both: udp("10.0.0.3:1"), tx: []string{":1\"", ":2\""}, warning: "works only if something"},
		"all addresses": {both: udp("10.0.0.3:1"), rx: []string{"10.0.0.3", "0.0.0.0"}},
		"a name":        {both: udp("10.0.0.3:1"), tx: []string{"10.0.0.3", "rx"}},
		"one machine":   {both: udp("127.0.0.1:1")},
		"one machine, one state": {both: append(udp("127.0.0.1:1"), "state-rx", "state-tx"),
			want: "rx.toml:7: directory state-tx is TX's too, and both roles are on this machine: use another one"},
		"one machine, one port": {both: append(udp("127.0.0.1:1"), "udp://0.0.0.0:514", "tcp://127.0.0.1:1883"),
			want: "rx.toml:10: tcp 0.0.0.0:1883 is already used on line 13 of TX's file: choose another port"},
		"two machines, one port": {tx: []string{"udp://0.0.0.0:514", "tcp://0.0.0.0:1883"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			keys := []string{"pair.key"}
			if c.otherKey {
				c.rx, keys = []string{"pair.key", "rx.key"}, append(keys, "rx.key")
			}
			for _, name := range keys {
				if err := pairkey.Create(name, pairkey.New()); err != nil {
					t.Fatal(err)
				}
			}
			tx, _, err := LoadTX(written(t, "tx.toml", pairTX, c.both, c.tx))
			if err != nil {
				t.Fatal(err)
			}
			rx, _, err := LoadRX(written(t, "rx.toml", pairRX, c.both, c.rx))
			if err != nil {
				t.Fatal(err)
			}
			faults, warnings := ComparePair(File[TX]{"tx.toml", tx}, File[RX]{"rx.toml", rx})
			if got := faults.Error(); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
				t.Errorf("got faults\n%s\nwant\n%s", got, c.want)
			}
			if c.warning == "" && len(warnings) > 0 || c.warning != "" && (len(warnings) != 1 ||
				!strings.Contains(warnings[0].String(), c.warning)) {
				t.Errorf("got warnings %v, want %q", warnings, c.warning)
			}
		})
	}
}

// written writes a text with replacements to a file of the working directory.
func written(t *testing.T, name, text string, replacements ...[]string) string {
	t.Helper()
	for _, list := range replacements {
		for i := 0; i+1 < len(list); i += 2 {
			text = strings.ReplaceAll(text, list[i], list[i+1])
		}
	}
	if err := os.WriteFile(filepath.Clean(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
