package boarddemo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/freeport"
	"heliograph/firmware/config/pairkey"
)

// configured returns a folder with what a card has.
func configured(t *testing.T, role, network string) string {
	t.Helper()
	dir := t.TempDir()
	if err := pairkey.Create(filepath.Join(dir, "pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{configName: role, networkName: network} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const leased = "interface = \"eth0\"\naddress = \"dhcp\"\n"

func TestPortsAreThoseOfTheConfiguration(t *testing.T) {
	const page = "[status]\nlisten = \"0.0.0.0:9464\"\n"
	const rx = page + "[[syslog]]\nchannel = \"s\"\nforward = \"udp://10.0.2.2:514\"\n" +
		"[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://0.0.0.0:4840\"\nanonymous = true\n" +
		"[[mqtt]]\nchannel = \"m\"\nlisten = \"mqtt://0.0.0.0:1883\"\n"
	const tx = page + "[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\", \"tcp://0.0.0.0:601\"]\n"
	for role, c := range map[string]struct{ text, want string }{
		"tx": {tx, "page http 9464, syslog udp 514, syslog tcp 601, "},
		"rx": {rx, "page http 9464, mirror opc.tcp 4840, broker mqtt 1883, "},
	} {
		list, err := listeners(role, configured(t, common+c.text, leased), true)
		if err != nil {
			t.Fatal(role, err)
		}
		got := ""
		for _, p := range list {
			got += p.What + " " + p.Scheme + " " + strings.TrimPrefix(p.forward(), "hostfwd="+
				map[bool]string{true: "udp", false: "tcp"}[p.Scheme == "udp"]+":127.0.0.1:0-:") + ", "
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", role, got, c.want)
		}
	}
}

func TestACardThatTheEmulatorCannotBootIsRefused(t *testing.T) {
	const syslog = "[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://0.0.0.0:514\"]\n"
	udp := strings.NewReplacer("\"uart\"", "\"udp\"\naddress = \"10.0.2.9:17000\"", "device ", "# device ", "baud ",
		"# baud ").Replace(common)
	for want, c := range map[string]struct {
		text, network string
		addressed     bool
	}{
		"it has no network.toml":    {common + syslog, leased, false},
		"gives the board 10.0.0.2,": {common + syslog, "interface = \"eth0\"\naddress = \"10.0.0.2/24\"\n", true},
		"its link is udp":           {udp + syslog, leased, true},
		"heliograph.toml:1":         {"pair = 1\n", leased, true},
	} {
		_, err := listeners("tx", configured(t, c.text, c.network), c.addressed)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := cardPorts("tx", filepath.Join(t.TempDir(), "none.img")); err == nil {
		t.Error("a card that is not there has ports")
	}
}

func TestAPortHasItsOwnNumberWhereThatIsFree(t *testing.T) {
	port, err := freeport.Get()
	if err != nil {
		t.Fatal(err)
	}
	list, err := reachable(map[int]bool{}, []Port{{What: pageOf, Board: port}, {What: mirrorOf, Board: port},
		{What: syslogOf, Board: 514}, {What: consoleOf, Here: port}})
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Here != port || list[1].Here == port || list[3].Here == port || list[2].Here < lowPorts {
		t.Errorf("got %+v; want %d for the first alone, and no low port", list, port)
	}
}
