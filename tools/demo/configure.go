package demo

import (
	"fmt"

	"heliograph/tools/pair"
)

// configure writes the pair's key and configurations. The ports are those of IT's two
// brokers, of syslog over TCP and UDP, and of the mirror.
func (d *Demo) configure(ports []int, collector string) (err error) {
	var tx, rx string
	for i, version := range []string{"5", "3.1.1"} {
		d.inputs = append(d.inputs, d.brokers[i].Address)
		d.outputs = append(d.outputs, fmt.Sprintf("127.0.0.1:%d", ports[i]))
		tx += fmt.Sprintf("[[mqtt]]\nchannel = %q\nbroker = \"mqtt://%s\"\nversion = %q\ntopics = [\"#\"]\n",
			channelNames[i], d.brokers[i].Address, version)
		rx += fmt.Sprintf("[[mqtt]]\nchannel = %q\nlisten = \"mqtt://%s\"\n", channelNames[i], d.outputs[i])
	}
	for i, network := range []string{"tcp", "udp"} {
		tx += fmt.Sprintf("[[syslog]]\nchannel = %q\nlisten = [\"%s://127.0.0.1:%d\"]\n", channelNames[2+i], network,
			ports[2+i])
		rx += fmt.Sprintf("[[syslog]]\nchannel = %q\nforward = \"tcp://%s\"\n", channelNames[2+i], collector)
	}
	d.mirror = fmt.Sprintf("opc.tcp://127.0.0.1:%d", ports[4])
	tx += fmt.Sprintf("[[opcua]]\nchannel = %q\nendpoint = %q\nsecurity_policy = \"None\"\npublishing_interval = "+
		"\"50ms\"\n",
		channelNames[4], d.server.Endpoint)
	if d.Medium == "uart" { // the server has a new source timestamp for each of these, each time
		tx += "exclude = [\"/Objects/Server/ServerCapabilities/**\", \"/Objects/Server/ServerDiagnostics/**\"]\n"
	}
	rx += fmt.Sprintf("[[opcua]]\nchannel = %q\nlisten = %q\nsecurity = [\"None\"]\nanonymous = true\n"+
		"history = \"1d\"\n",
		channelNames[4], d.mirror)
	link := pair.UDP
	if d.Medium == "uart" {
		link = pair.Serial
	}
	if d.gateway, err = pair.New(pair.Config{
		Name: "demo", Programs: d.Programs, Dir: d.dir,
		TX: pair.End{Link: link(d.line.enter), Tables: tx}, RX: pair.End{Link: link(d.line.leave), Tables: rx},
	}); err != nil {
		return fmt.Errorf("demo: %v", err)
	}
	return nil
}
