package initial

import (
	"errors"
	"slices"
)

// Securities are what a connection to an OPC UA server may have, the strongest first.
func Securities() (list []string) {
	for _, mode := range []string{"SignAndEncrypt", "Sign"} {
		for _, policy := range []string{"Aes256_Sha256_RsaPss", "Basic256Sha256", "Aes128_Sha256_RsaOaep"} {
			list = append(list, policy+"/"+mode)
		}
	}
	return append(list, "None")
}

const defaultSecurity = "Basic256Sha256/SignAndEncrypt"

func hasOPCUA(a Answers) bool  { return a.OPCUA != "" }
func hasMQTT(a Answers) bool   { return a.MQTT != "" }
func hasSyslog(a Answers) bool { return a.Syslog != "" }

func plantQuestions() []Question {
	return slices.Concat([]Question{
		{Flag: "opcua", Page: PageSources, Title: "OPC UA server (empty: none)",
			Help:  "OPC UA server in the plant, as in opc.tcp://10.0.0.5:4840",
			Asked: func(a Answers) bool { return a.only("opcua") }, Needs: "another source",
			Field: func(a *Answers) *string { return &a.OPCUA },
			Check: checkPeer("opc.tcp://10.0.0.5:4840", "opc.tcp")},
		{Flag: "mqtt", Page: PageSources, Title: "MQTT broker (empty: none)",
			Help:  "MQTT broker in the plant, as in mqtt://10.0.0.6:1883",
			Asked: func(a Answers) bool { return a.only("mqtt") }, Needs: "another source",
			Field: func(a *Answers) *string { return &a.MQTT }, Check: checkPeer("mqtt://10.0.0.6:1883", "mqtt",
				"mqtts")},
		{Flag: "syslog", Page: PageListeners, Title: "Syslog listeners (empty: none)",
			Help:    "where TX takes syslog, as in udp://0.0.0.0:514,tcp://0.0.0.0:601; none: nowhere",
			Asked:   func(a Answers) bool { return a.only("syslog") },
			Needs:   "another source",
			Field:   func(a *Answers) *string { return &a.Syslog },
			Default: suggestedSyslog, Check: checkSyslog},
	}, opcuaQuestions(), mqttQuestions(), []Question{
		{Flag: "syslog-channel", Page: PageSyslog, Title: "Channel of syslog",
			Help:  "name of syslog's channel, on both sides",
			Asked: hasSyslog, Needs: "--syslog",
			Field: func(a *Answers) *string { return &a.SyslogChannel }, Default: channelName("syslog"),
			Missing: text("name it"), Check: checkChannel(func(a Answers) []string {
				return []string{a.OPCUAChannel,
					a.MQTTChannel}
			})},
	})
}

// suggestedSyslog needs no root on a host. Beside another source it is for those who ask for it.
func suggestedSyslog(a Answers) string {
	switch {
	case a.Only == "syslog" && a.onBoard():
		return "udp://0.0.0.0:" + a.freePort("514")
	case a.Only == "syslog":
		return "udp://0.0.0.0:" + a.freePort("5514")
	case a.OPCUA != "" || a.MQTT != "":
		return ""
	case a.onBoard():
		return "udp://0.0.0.0:514,tcp://0.0.0.0:601"
	}
	return "udp://0.0.0.0:5514"
}

func checkSyslog(a Answers, s string) error {
	return checkURLs("udp://0.0.0.0:514", "udp", "tcp", "tls")(a, s)
}

// Sourced says what to do when there is nothing to send.
func Sourced(a Answers) error {
	if a.OPCUA == "" && a.MQTT == "" && a.Syslog == "" {
		return errors.New("nothing is to cross: name at least one of --opcua, --mqtt and --syslog")
	}
	return nil
}

func channelName(name string) func(Answers) string {
	return func(a Answers) string { return a.freeName(name) }
}

func checkChannel(others func(Answers) []string) func(Answers, string) error {
	return func(a Answers, s string) error {
		if slices.Contains(others(a), s) || slices.Contains(a.taken, s) {
			return errors.New("another channel has that name: write another one")
		}
		return checkName(a, s)
	}
}

// login are the questions for a name and its password.
func login(flag, needs string, page, secret Page, whom string, asked func(Answers) bool, of func(*Answers) *Login,
) []Question {
	return []Question{
		{Flag: flag + "-user", Page: page, Title: "User " + whom + " (empty: none)", Help: "user " + whom,
			Asked: asked, Needs: needs, Field: func(a *Answers) *string { return &of(a).Name }},
		{Flag: flag + "-password-file", Page: secret, Title: "Password of that user",
			Help:  "file with the password of that user in one line; typed, it is asked for",
			Asked: func(a Answers) bool { return asked(a) && of(&a).Name != "" }, Needs: "--" + flag + "-user",
			Field:   func(a *Answers) *string { return &of(a).File },
			Secret:  func(a *Answers) *string { return &of(a).Password },
			Missing: text("name a file with the password in one line"), Check: checkPassword},
	}
}

// checkPassword holds for a password and for the name of a file.
func checkPassword(_ Answers, s string) error {
	for _, c := range s {
		if c == '\n' || c == 0 {
			return errors.New("write one line")
		}
	}
	return nil
}

func opcuaQuestions() []Question {
	return append([]Question{
		{Flag: "opcua-channel", Page: PageOPCUA, Title: "Channel of the server",
			Help: "name of the server's channel, on both sides", Asked: hasOPCUA, Needs: "--opcua",
			Field: func(a *Answers) *string { return &a.OPCUAChannel }, Default: channelName("opcua"),
			Missing: text("name it"), Check: checkChannel(func(Answers) []string { return nil })},
		{Flag: "opcua-security", Page: PageOPCUA, Title: "Security of the connection",
			Help: "policy and mode towards the OPC UA server, as in " + defaultSecurity +
				"; default: the strongest that it offers",
			Asked: hasOPCUA, Needs: "--opcua",
			Field: func(a *Answers) *string { return &a.OPCUASecurity },
			Options: func(a Answers) []string {
				if len(a.Offered) > 0 {
					return a.Offered
				}
				return Securities()
			},
			Default: func(a Answers) string {
				if len(a.Offered) > 0 {
					return a.Offered[0]
				}
				return defaultSecurity
			}, Missing: text("name one")},
	}, login("opcua", "--opcua", PageOPCUA, PageOPCUAPassword, "at the OPC UA server", hasOPCUA,
		func(a *Answers) *Login { return &a.OPCUALogin })...)
}

func mqttQuestions() []Question {
	return append([]Question{
		{Flag: "mqtt-channel", Page: PageMQTT, Title: "Channel of the broker",
			Help:  "name of the broker's channel, on both sides",
			Asked: hasMQTT, Needs: "--mqtt",
			Field: func(a *Answers) *string { return &a.MQTTChannel }, Default: channelName("mqtt"),
			Missing: text("name it"),
			Check:   checkChannel(func(a Answers) []string { return []string{a.OPCUAChannel} })},
		{Flag: "mqtt-topics", Page: PageMQTT, Title: "Topics",
			Help:  "topic filters that cross, as in plant/#,cell/+/state",
			Asked: hasMQTT, Needs: "--mqtt",
			Field: func(a *Answers) *string { return &a.MQTTTopics }, Default: text("#"),
			Missing: text(`write "#" for all`)},
		{Flag: "mqtt-ca", Page: PageMQTT, Title: "File with the broker's certificate authority (empty: the system's)",
			Help:  "mqtts: PEM file with the certificate authority of the plant's broker; default: the system's",
			Asked: func(a Answers) bool { return isTLS(a.MQTT) }, Needs: "an mqtts:// address with --mqtt",
			Field: func(a *Answers) *string { return &a.MQTTAuthority }},
	}, login("mqtt", "--mqtt", PageMQTT, PageMQTTPassword, "at the plant's broker", hasMQTT,
		func(a *Answers) *Login { return &a.MQTTLogin })...)
}

func isTLS(address string) bool { return len(address) > 6 && address[:6] == "mqtts:" }

// securityReason explains the security of the connection to the server.
func securityReason(a Answers) string {
	if a.OPCUASecurity == "None" {
		return "not protected: the server is not authenticated"
	}
	return "either side must trust the other's certificate"
}
