package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"heliograph/firmware/config/pairkey"
)

// configure writes the pair's key and configurations. The ports are those of
// the status servers of TX and RX, of IT's two brokers, of syslog over TCP and UDP,
// and of the mirror.
func (d *Demo) configure(ports []int, collector string) error {
	if err := pairkey.Create(filepath.Join(d.dir, "pair.key"), pairkey.New()); err != nil {
		return fmt.Errorf("demo: %v", err)
	}
	link := fmt.Sprintf("medium = \"udp\"\naddress = %%q\nrate = \"100Mbit/s\"\n")
	if d.Medium == "uart" {
		link = "medium = \"uart\"\ndevice = %q\nbaud = 921600\n"
	}
	head := func(address, role string, status int) string {
		return fmt.Sprintf("pair = \"demo\"\n[link]\n"+link+"key_file = \"pair.key\"\n[state]\ndirectory = \"%s\"\n[status]\nlisten = \"127.0.0.1:%d\"\n",
			address, role, status)
	}
	tx, rx := head(d.link.enter, "tx", ports[0]), head(d.link.leave, "rx", ports[1])
	for i, version := range []string{"5", "3.1.1"} {
		d.inputs = append(d.inputs, d.brokers[i].Address)
		d.outputs = append(d.outputs, fmt.Sprintf("127.0.0.1:%d", ports[2+i]))
		tx += fmt.Sprintf("[[mqtt]]\nchannel = %q\nbroker = \"mqtt://%s\"\nversion = %q\ntopics = [\"#\"]\n", channelNames[i], d.brokers[i].Address, version)
		rx += fmt.Sprintf("[[mqtt]]\nchannel = %q\nlisten = \"mqtt://%s\"\n", channelNames[i], d.outputs[i])
	}
	for i, network := range []string{"tcp", "udp"} {
		tx += fmt.Sprintf("[[syslog]]\nchannel = %q\nlisten = [\"%s://127.0.0.1:%d\"]\n", channelNames[2+i], network, ports[4+i])
		rx += fmt.Sprintf("[[syslog]]\nchannel = %q\nforward = \"tcp://%s\"\n", channelNames[2+i], collector)
	}
	d.mirror = fmt.Sprintf("opc.tcp://127.0.0.1:%d", ports[6])
	tx += fmt.Sprintf("[[opcua]]\nchannel = %q\nendpoint = %q\nsecurity_policy = \"None\"\npublishing_interval = \"50ms\"\n", channelNames[4], d.server.Endpoint)
	rx += fmt.Sprintf("[[opcua]]\nchannel = %q\nlisten = %q\nsecurity = [\"None\"]\nanonymous = true\n", channelNames[4], d.mirror)
	for name, text := range map[string]string{"tx.toml": tx, "rx.toml": rx} {
		if err := os.WriteFile(filepath.Join(d.dir, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("demo: %v", err)
		}
	}
	return nil
}
