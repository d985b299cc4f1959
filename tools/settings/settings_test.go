package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/boards"
	"heliograph/firmware/config/pairkey"
	"heliograph/tools/settings"
)

const (
	tx = "pair = \"p\"\n[link]\nmedium = \"ethernet\"\nkey_file = \"pair.key\"\n[status]\n" +
		"listen = \"10.0.0.2:9464\"\n[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"
	rx = "pair = \"p\"\n[link]\nmedium = \"ethernet\"\nkey_file = \"pair.key\"\n[[syslog]]\nchannel = \"s\"\n" +
		"forward = \"tcp://siem:601\"\n"
	net = "hostname = \"t\"\ninterface = \"eth0\"\naddress = \"10.0.0.2/24\"\n"
)

// files writes what a board is given.
func files(t *testing.T, text, network string) settings.Files {
	t.Helper()
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), [pairkey.Size]byte{1}); err != nil {
		t.Fatal(err)
	}
	b, _ := boards.ByName("rpi4b")
	f := settings.Files{Board: b, Config: filepath.Join(dir, "helio.toml"), Network: filepath.Join(dir, "network.toml")}
	for name, text := range map[string]string{f.Config: text, f.Network: network} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestFilesOfABoardAreCheckedTogether(t *testing.T) {
	for name, c := range map[string]struct {
		text, network string
		want          []string // none: no fault
	}{
		"that fit": {tx, net, nil},
		"two systems": {strings.ReplaceAll(tx, "\n", "\r\n"),
			"\xEF\xBB\xBF" + strings.ReplaceAll(net, "\n", "\r\n"), nil},
		"the link's interface": {tx, strings.Replace(net, "eth0", "eth1", 1),
			[]string{"helio.toml:2: interface \"eth1\" is the board's own in network.toml"}},
		"another address": {tx, strings.Replace(net, "10.0.0.2", "10.0.0.7", 1),
			[]string{"helio.toml:6: listen \"10.0.0.2:9464\": the board's address is 10.0.0.7"}},
		"a server's address": {tx, "interface = \"eth0\"\naddress = \"dhcp\"\n", nil},
		"a fault in network": {tx, net + "gateway = \"10.9.0.1\"\n",
			[]string{"network.toml:4: gateway \"10.9.0.1\" is not"}},
		"an unknown key": {tx, net + "gatway = \"10.0.0.1\"\n",
			[]string{"network.toml:4: key \"gatway\" is not known"}},
		"no TOML": {tx, net + "gateway = \n", []string{"network.toml:4: "}},
		"faults in both": {tx + "x = 1\n", "\ninterface = \"\"\n",
			[]string{"helio.toml:10: ", "network.toml:2: "}},
		"a name that it lacks": {tx, strings.Replace(net, "eth0", "enp3s0", 1), []string{"network.toml:2: "}},
	} {
		t.Run(name, func(t *testing.T) {
			f := files(t, c.text, c.network)
			_, err := f.Check("tx")
			if len(c.want) == 0 && err != nil {
				t.Errorf("got %v, want none", err)
			}
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
		})
	}
}

func TestPairsHaveTheFaultsOfBothFiles(t *testing.T) {
	plant, it := files(t, tx, net), files(t, rx, net)
	if _, err := settings.Pair(plant, it); err != nil {
		t.Errorf("got %v, want none", err)
	}
	it = files(t, strings.Replace(rx, "\"s\"", "\"other\"", 1), net)
	if _, err := settings.Pair(plant, it); err == nil ||
		!strings.Contains(err.Error(), "has no table in RX's file") {
		t.Errorf("got %v, want that the channels differ", err)
	}
	plant, it = files(t, tx+"x = 1\n", net), files(t, rx+"y = 1\n", net)
	if _, err := settings.Pair(plant, it); err == nil || strings.Count(err.Error(), "unknown key") != 2 {
		t.Errorf("got %v, want a fault of either file", err)
	}
}

func TestFilesThatAreMissingAreNamed(t *testing.T) {
	f := files(t, tx, net)
	f.Network = f.Network + ".none"
	if _, err := f.Check("tx"); err == nil || !strings.Contains(err.Error(), "network.toml.none") {
		t.Errorf("got %v, want the file's name", err)
	}
	if _, err := (settings.Files{Board: f.Board}).Check("rx"); err != nil {
		t.Errorf("a board without files: got %v, want none", err)
	}
}
