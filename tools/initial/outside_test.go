package initial

import (
	"strings"
	"testing"

	"heliograph/rootfs/network"
)

func TestTheNetworkOfABoardIsWhatABoardReads(t *testing.T) {
	a := Answers{Board: "rpi4b", Pair: "press_hall", Medium: uart,
		TXOwn: Outside{Address: "10.0.0.2/24", Gateway: "10.0.0.1", Nameservers: "10.0.0.1, 10.0.0.9"},
		RXOwn: Outside{Address: "dhcp"}}
	tx, err := network.Parse(strings.NewReader(Network(a, "tx")))
	if err != nil || tx.Hostname != "press-hall-tx" || tx.Interface != "eth0" || tx.Address.String() != "10.0.0.2/24" ||
		tx.Gateway.String() != "10.0.0.1" || len(tx.Nameservers) != 2 {
		t.Errorf("got %+v, %v", tx, err)
	}
	rx, err := network.Parse(strings.NewReader(Network(a, "rx")))
	if err != nil || !rx.DHCP || rx.Hostname != "press-hall-rx" {
		t.Errorf("got %+v, %v", rx, err)
	}
}

func TestAnAnswerAboutTheNetworkIsCheckedWithThoseBefore(t *testing.T) {
	for flag, c := range map[string]struct{ answer, want string }{
		"tx-ip":          {"10.0.0.2", "neither dhcp nor one such as"},
		"tx-gateway":     {"10.9.0.1", "not an address in 10.0.0.0/24"},
		"tx-nameservers": {"plc", "not an address"},
		"opcua":          {"opc.tcp://127.0.0.1:4840", "an emulated one reaches this machine at 10.0.2.2"},
		"syslog-to":      {"tcp://localhost:601", "that is the board itself"},
	} {
		a := Answers{Board: "virt", Pair: "hall", TXOwn: Outside{Address: "10.0.0.2/24"}}
		err := Questions()[indexOf(flag)].Check(a, c.answer)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("--%s %s: got %v, want %q", flag, c.answer, err, c.want)
		}
	}
}

func TestAnEmulatedBoardIsAskedForWhereThisMachineIs(t *testing.T) {
	for url, want := range map[string]string{"opc.tcp://10.0.2.2:4841": "opc.tcp://127.0.0.1:4841",
		"opc.tcp://10.0.0.5:4840": "opc.tcp://10.0.0.5:4840", "": ""} {
		if got := (Answers{Board: "virt"}).FromHere(url); got != want {
			t.Errorf("%q: got %q, want %q", url, got, want)
		}
	}
	if got := (Answers{Board: "rpi4b"}).FromHere("opc.tcp://10.0.2.2:1"); got != "opc.tcp://10.0.2.2:1" {
		t.Errorf("a real board: got %q", got)
	}
}
