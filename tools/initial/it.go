package initial

import (
	"errors"
	"slices"
	"strings"
)

// otherPort returns a port beside the plant's, where both may be on one machine.
func otherPort(a Answers, source, port string) string {
	if a.OneMachine() && portOf(source, port) == port {
		return port[:len(port)-1] + string(port[len(port)-1]+1)
	}
	return port
}

func itQuestions() []Question {
	return slices.Concat([]Question{
		{Flag: "opcua-listen", Page: PageIT, Title: "Where the mirror of the OPC UA server listens",
			Help:  "where RX serves the mirror of the OPC UA server, as in opc.tcp://0.0.0.0:4840",
			Asked: hasOPCUA, Needs: "--opcua",
			Field:   func(a *Answers) *string { return &a.OPCUAListen },
			Missing: text("write an address"),
			Default: func(a Answers) string {
				return "opc.tcp://" + everywhere(a) + ":" + a.freePort(otherPort(a, a.OPCUA, "4840"))
			},
			Check: checkURL("opc.tcp://0.0.0.0:4840", "opc.tcp")},
		{Flag: "history", Page: PageIT, Title: "History that the mirror keeps (empty: none)",
			Help:  "how long the mirror keeps values and events for HistoryRead, as in 30d; none: not at all",
			Asked: hasOPCUA, Needs: "--opcua",
			Field: func(a *Answers) *string { return &a.History },
			Check: checkNumber("30d", "d", "h", "m"),
			Default: func(a Answers) string {
				if a.onBoard() {
					return ""
				}
				return "30d"
			}},
	}, brokerQuestions(), []Question{
		{Flag: "syslog-to", Page: PageIT, Title: "Collector of IT",
			Help:  "collector that gets what came by syslog, as in tcp://siem:601",
			Asked: hasSyslog, Needs: "--syslog",
			Field:   func(a *Answers) *string { return &a.SyslogTo },
			Check:   checkPeer("tcp://siem:601", "udp", "tcp", "tls"),
			Missing: text("write the address of IT's collector, as in tcp://siem:601"),
			Default: func(a Answers) string {
				if a.OneMachine() {
					return defaultCollector
				}
				return ""
			}},
	}, readerQuestions())
}

func brokerQuestions() []Question {
	to := func(a Answers) bool { return hasMQTT(a) && a.MQTTTo != "" }
	return slices.Concat([]Question{
		{Flag: "mqtt-to", Page: PageIT, Title: "Broker of IT (empty: RX's built-in one)",
			Help:  "broker of IT that gets what the plant's publishes; default: RX's built-in broker",
			Asked: hasMQTT, Needs: "--mqtt",
			Field: func(a *Answers) *string { return &a.MQTTTo },
			Check: checkPeer("mqtts://it-broker:8883", "mqtt", "mqtts")},
		{Flag: "mqtt-listen", Page: PageITServers, Title: "Where the built-in broker listens",
			Help:  "where RX's built-in broker listens, as in mqtt://0.0.0.0:1883",
			Asked: func(a Answers) bool { return hasMQTT(a) && a.MQTTTo == "" },
			Needs: "--mqtt without --mqtt-to",
			Field: func(a *Answers) *string { return &a.MQTTListen },
			Default: func(a Answers) string {
				return "mqtt://" + everywhere(a) + ":" + a.freePort(otherPort(a, a.MQTT, "1883"))
			},
			Missing: text("write an address"), Check: checkURL("mqtt://0.0.0.0:1883", "mqtt", "mqtts")},
		{Flag: "mqtt-to-ca", Page: PageITServers, Title: "File with the authority of IT's broker (empty: the system's)",
			Help:  "mqtts: PEM file with the certificate authority of IT's broker; default: the system's",
			Asked: func(a Answers) bool { return isTLS(a.MQTTTo) }, Needs: "an mqtts:// address with --mqtt-to",
			Field: func(a *Answers) *string { return &a.MQTTToAuthority }},
	}, login("mqtt-to", "--mqtt-to", PageITServers, PageITPassword, "at IT's broker", to,
		func(a *Answers) *Login { return &a.MQTTToLogin }))
}

// readerQuestions are about who may log in at RX.
func readerQuestions() []Question {
	serves := func(a Answers) bool { // a further source has the users of those before it
		return (hasOPCUA(a) || hasMQTT(a) && a.MQTTTo == "") && a.inherited == ""
	}
	const needs = "--opcua, or --mqtt without --mqtt-to"
	fresh := func(a Answers) bool { return serves(a) && a.UsersFile == "" }
	list := login("it", needs+", and not --users-file", PageITServers, PageITPassword, "who may log in at RX", fresh,
		func(a *Answers) *Login { return &a.Reader })
	list[0].Check = checkUser
	list[0].Missing = func(a Answers) string {
		if hasMQTT(a) && a.MQTTTo == "" {
			return "anyone could read at RX's built-in broker: name who may, or your users with --users-file, or " +
				"your broker with --mqtt-to"
		}
		return ""
	}
	return append([]Question{
		{Flag: "users-file", Page: PageIT, Title: "Users file of RX (empty: a new one, or none)",
			Help:  `file of those who may log in at RX, made by "heliograph user add"`,
			Asked: serves, Needs: needs, Field: func(a *Answers) *string { return &a.UsersFile }},
	}, list...)
}

func checkUser(_ Answers, s string) error {
	if len(s) > 128 || strings.Contains(s, ":") || s[0] == '#' {
		return errors.New("write a name of at most 128 bytes without a colon or a leading #")
	}
	return nil
}

// everywhere is the address for listeners that clients reach: this machine alone in a trial.
func everywhere(a Answers) string {
	if a.OneMachine() {
		return "127.0.0.1"
	}
	return "0.0.0.0"
}

func statusQuestions() []Question {
	status := func(port string) func(Answers) string {
		return func(a Answers) string {
			if a.onBoard() {
				return "0.0.0.0:" + port
			}
			return "127.0.0.1:" + port
		}
	}
	return []Question{
		{Flag: "tx-status", Page: PageStatus, Title: "Status page of TX (empty: none)",
			Help:  "where TX serves its status, as in 127.0.0.1:9464; none: nowhere",
			Field: func(a *Answers) *string { return &a.TXStatus }, Default: status("9464"), Check: checkStatus},
		{Flag: "rx-status", Page: PageStatus, Title: "Status page of RX (empty: none)",
			Help:  "where RX serves its status, as in 127.0.0.1:9465; none: nowhere",
			Field: func(a *Answers) *string { return &a.RXStatus }, Default: status("9465"),
			Check: func(a Answers, s string) error {
				if a.OneMachine() && s == a.TXStatus {
					return errors.New("TX has that port on this machine: write another one")
				}
				return checkStatus(a, s)
			}},
		{Flag: "ntp", Page: PageStatus, Title: "NTP servers in the plant (empty: none)",
			Help:  "NTP servers in the plant, as in 10.0.0.1; RX takes the time from TX",
			Field: func(a *Answers) *string { return &a.NTP }},
	}
}
