package initial

// Hint is what a form says below the title of a question, beyond what that says; "" for nothing.
func (q Question) Hint() string { return hints()[q.Flag] }

func hints() map[string]string {
	const both, link, pem = "the same on both sides", "only the link uses it", "in PEM"
	return map[string]string{
		"pair": both, "board": "host: Linux machines",
		"medium":    "uart: a wire; ethernet: a TX-only fibre; udp: a diode that passes IP, or a trial on one machine",
		"tx-device": link, "rx-device": link, "baud": both,
		"carrier":      "diode: a bought one that passes any Ethernet frame",
		"tx-interface": link + ", as in eth1", "rx-interface": link + ", as in eth1",
		"address": "with its port, as in 10.0.0.3:17000: TX sends to it", "peer-mac": "as in 02:00:5e:10:00:01",
		"rate":     "the most that is sent, with headers and parity, as in 100Mbit/s",
		"overhead": "the least share, from which lost frames are repaired, as in 25%",
		"tx-own":   "as in mac:02:00:5e:10:00:01", "rx-own": "as in mac:02:00:5e:10:00:02",
		"tx-ip": "as in 10.0.0.2/24; dhcp: from a server", "rx-ip": "as in 10.1.0.3/24; dhcp: from a server",
		"tx-gateway": "as in 10.0.0.1", "rx-gateway": "as in 10.1.0.1",
		"tx-nameservers": "as in 10.0.0.1", "rx-nameservers": "as in 10.1.0.1",
		"opcua": "as in opc.tcp://10.0.0.5:4840", "mqtt": "as in mqtt://10.0.0.6:1883",
		"syslog":        "as in udp://0.0.0.0:514,tcp://0.0.0.0:601",
		"opcua-channel": both, "mqtt-channel": both, "syslog-channel": both, "opcua-security": "policy and mode",
		"mqtt-topics": "filters of what crosses, as in plant/#,cell/+/state", "mqtt-ca": pem, "mqtt-to-ca": pem,
		"opcua-listen": "as in opc.tcp://0.0.0.0:4840", "history": "what HistoryRead serves, as in 30d",
		"mqtt-to": "as in mqtts://it-broker:8883", "mqtt-listen": "as in mqtt://0.0.0.0:1883",
		"syslog-to": "as in tcp://siem:601", "users-file": `made by "heliograph user add"`,
		"tx-status": "as in 127.0.0.1:9464", "rx-status": "as in 127.0.0.1:9465",
		"ntp": "as in 10.0.0.1; RX takes the time from TX",
	}
}
