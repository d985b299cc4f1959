package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"heliograph/ci/await"
	"heliograph/ci/rig"
)

// oneWayIP gives both hosts an address on their cable, and cuts the way back: nothing
// fits the queue of the receiver's end.
func oneWayIP(t *testing.T) (nsTX, nsRX string) {
	t.Helper()
	nsTX, nsRX = namespaces(t)
	for _, line := range []string{
		"ip -n " + nsRX + " link set link0 address 02:00:00:00:00:12",
		"ip -n " + nsTX + " addr add 10.9.0.1/24 dev link0", "ip -n " + nsRX + " addr add 10.9.0.2/24 dev link0",
		"tc -n " + nsRX + " qdisc add dev link0 root bfifo limit 1",
		"ip -n " + nsRX + " link set link0 up", "ip -n " + nsTX + " link set link0 up",
	} {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	return nsTX, nsRX
}

// TestUDPCrossesADiode runs both roles over IP on a cable that carries nothing back, first
// without the receiver's MAC address, then with it.
func TestUDPCrossesADiode(t *testing.T) {
	t.Parallel()
	const n = 500
	nsTX, nsRX := oneWayIP(t)
	dir := t.TempDir()
	tool(t, "key", "new", filepath.Join(dir, "pair.key"))
	conf := func(name, role, link, rest string) string {
		path := filepath.Join(dir, name+".toml")
		rig.Write(t, path, fmt.Appendf(nil, "pair = \"e2e\"\n[link]\nmedium = \"udp\"\naddress = "+
			"\"10.9.0.2:17000\"\n%srate = \"100Mbit/s\"\nkey_file = \"pair.key\"\n[state]\ndirectory = "+
			"\"state-%s\"\n[[syslog]]\nchannel = \"syslog\"\n%s", link, role, rest))
		return path
	}
	source := "listen = [\"tcp://127.0.0.1:6010\"]\n"
	without := conf("without", "tx", "", source)
	with := conf("with", "tx", "peer_mac = \"02:00:00:00:00:12\"\n", source)
	rx := conf("rx", "rx", "", "forward = \"tcp://127.0.0.1:6011\"\n")

	siem := &collector{port: 6011}
	within(t, nsRX, func() error { return siem.listen(t) })
	start := func(ns, program, config string) *rig.Process {
		return rig.Start(t, "/usr/bin/env", "ip", "netns", "exec", ns, filepath.Join(programs, program), "--config",
			config)
	}
	start(nsRX, "heliorx", rx)
	tx := start(nsTX, "heliotx", without)
	await.True(t, "the transmitter's kernel asks for the receiver in vain", func() bool {
		out, err := exec.Command("ip", "-n", nsTX, "neigh", "show", "10.9.0.2").CombinedOutput()
		return err == nil && strings.Contains(string(out), "FAILED")
	})
	if got := siem.all(); len(got) != 0 {
		t.Fatalf("%d lines crossed without an entry, want none: the cable carries something back", len(got))
	}
	tx.Stop()

	start(nsTX, "heliotx", with)
	sendAcross(t, nsTX, siem, n)
	if got := packets(t, nsTX, "rx_packets"); got != 0 {
		t.Errorf("the transmitter's interface has received %d packets, want none", got)
	}
}
