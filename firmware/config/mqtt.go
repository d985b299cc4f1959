package config

import (
	"strings"
	"unicode/utf8"
)

// mqttPorts are the schemes of an MQTT address with their ports.
func mqttPorts() map[string]string { return map[string]string{"mqtt": portMQTT, "mqtts": portMQTTS} }

func (r *report) mqttSource(a at, raw rawMQTTSource, pair string) MQTTSource {
	s := MQTTSource{
		Channel:  raw.Channel,
		Bulk:     r.bulk(a, raw.Class),
		Version:  r.mqttVersion(a, raw.Version),
		Topics:   raw.Topics,
		Username: raw.Username,
		Password: r.password(a, raw.Username, raw.PasswordFile),
		ClientID: r.clientID(a, orElse(raw.ClientID, "heliotx-"+pair+"-"+raw.Channel)),
	}
	if raw.Broker == "" {
		r.fault(a, "broker", "broker is missing: such as \"mqtt://10.0.0.6:1883\"")
	} else {
		s.Broker = r.address(a, "broker", raw.Broker, mqttPorts())
	}
	if strings.HasPrefix(raw.Broker, "mqtts:") {
		s.TLS = r.tls(a, raw.CAFile, raw.Certificate, raw.PrivateKey)
	} else {
		r.refuse(a, "an mqtt:// address; write mqtts:// for TLS", "ca_file", "certificate", "private_key")
	}
	if !r.has(a, "topics") {
		s.Topics = []string{defaultTopic}
	}
	if len(s.Topics) == 0 {
		r.fault(a, "topics", "topics is empty: \"#\" takes everything")
	}
	for _, filter := range s.Topics {
		if why := wrongFilter(filter); why != "" {
			r.fault(a, "topics", "the topic filter %q %s", filter, why)
		}
	}
	return s
}

func (r *report) mqttSink(a at, raw rawMQTTSink, pair string) MQTTSink {
	s := MQTTSink{
		Channel:     raw.Channel,
		Version:     r.mqttVersion(a, raw.Version),
		TopicPrefix: raw.TopicPrefix,
		SpoolBytes:  r.spool(a, raw.Spool),
	}
	if strings.ContainsAny(raw.TopicPrefix, "+#\x00") || !utf8.ValidString(raw.TopicPrefix) || strings.HasPrefix(raw.TopicPrefix, "$") {
		r.fault(a, "topic_prefix", "topic_prefix %q must not hold \"+\", \"#\" or NUL, nor begin with \"$\"", raw.TopicPrefix)
	}
	address := raw.Broker + raw.Listen
	switch {
	case raw.Broker != "" && raw.Listen != "":
		r.fault(a, "listen", "listen and broker exclude each other: the embedded broker, or yours")
	case address == "":
		r.fault(a, "broker", "broker is missing: such as \"mqtt://it-broker:1883\", or listen = \"mqtt://0.0.0.0:1883\" for the embedded broker")
	case raw.Broker != "":
		r.refuse(a, "broker; it is for the embedded broker", "users_file")
		s.Broker = r.address(a, "broker", raw.Broker, mqttPorts())
		s.Username = raw.Username
		s.Password = r.password(a, raw.Username, raw.PasswordFile)
		s.ClientID = r.clientID(a, orElse(raw.ClientID, "heliorx-"+pair+"-"+raw.Channel))
	default:
		r.refuse(a, "listen; the embedded broker's users stand in users_file", "username", "password_file", "client_id", "version")
		s.Listen = r.address(a, "listen", raw.Listen, mqttPorts())
		s.UsersFile = r.usersFile(a, raw.UsersFile)
		if raw.UsersFile == "" {
			r.warn(a, "listen", "the embedded broker lets everyone read who reaches it; users_file changes that")
		}
	}
	if strings.HasPrefix(address, "mqtts:") {
		s.TLS = r.tls(a, raw.CAFile, raw.Certificate, raw.PrivateKey)
	} else {
		r.refuse(a, "an mqtt:// address; write mqtts:// for TLS", "ca_file", "certificate", "private_key")
	}
	return s
}

func (r *report) mqttVersion(a at, s string) MQTTVersion {
	return MQTTVersion(r.choice(a, "version", orElse(s, string(MQTTAuto)), string(MQTTAuto), string(MQTT5), string(MQTT311)))
}

func (r *report) clientID(a at, s string) string {
	if len(s) > 256 || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00") {
		r.fault(a, "client_id", "client_id must be UTF-8 of at most 256 bytes")
	}
	return s
}

// wrongFilter says in words what is wrong with an MQTT topic filter
// (MQTT 5.0 §4.7), or "".
func wrongFilter(filter string) string {
	switch {
	case filter == "":
		return "is empty"
	case len(filter) > 65535 || !utf8.ValidString(filter) || strings.ContainsRune(filter, 0):
		return "is not UTF-8 of at most 65535 bytes without NUL"
	case strings.HasPrefix(filter, "$share/"):
		return "is a shared subscription, which would lose messages to others"
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if strings.Contains(level, "#") && (level != "#" || i != len(levels)-1) {
			return "may hold \"#\" only as its whole last level"
		}
		if strings.Contains(level, "+") && level != "+" {
			return "may hold \"+\" only as a whole level"
		}
	}
	return ""
}
