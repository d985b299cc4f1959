package config

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// mqttPorts maps the schemes of an MQTT address to their default ports.
func mqttPorts() map[string]string { return map[string]string{"mqtt": portMQTT, "mqtts": portMQTTS} }

func (r *report) mqttSource(a tablePath, raw rawMQTTSource, pair string) MQTTSource {
	s := MQTTSource{
		Channel:  raw.Channel,
		Bulk:     r.bulk(a, raw.Class),
		Version:  r.mqttVersion(a, raw.Version),
		Topics:   raw.Topics,
		Username: raw.Username,
		Password: r.password(a, raw.Username, raw.PasswordFile),
		ClientID: r.clientID(a, cmp.Or(raw.ClientID, "heliotx-"+pair+"-"+raw.Channel)),
	}
	if raw.Broker == "" {
		r.fault(a, "broker", "broker is missing: write broker = \"mqtt://10.0.0.6:1883\"")
	} else {
		s.Broker = r.address(a, "broker", raw.Broker, mqttPorts())
	}
	if strings.HasPrefix(raw.Broker, "mqtts:") {
		s.TLS = r.tls(a, raw.CAFile, raw.Certificate, raw.PrivateKey)
	} else {
		r.forbid(a, "an mqtt:// address; write mqtts:// for TLS", "ca_file", "certificate", "private_key")
	}
	if !r.has(a, "topics") {
		s.Topics = []string{defaultTopic}
	}
	if len(s.Topics) == 0 {
		r.fault(a, "topics", "topics is empty: write [\"#\"] for all topics")
	}
	for _, filter := range s.Topics {
		if reason := filterFault(filter); reason != "" {
			r.fault(a, "topics", "topic filter %q %s", filter, reason)
		}
	}
	return s
}

func (r *report) mqttSink(a tablePath, raw rawMQTTSink, pair string) MQTTSink {
	s := MQTTSink{
		Channel:     raw.Channel,
		Version:     r.mqttVersion(a, raw.Version),
		TopicPrefix: r.topicPrefix(a, "topic_prefix", raw.TopicPrefix),
		SpoolBytes:  r.spool(a, raw.Spool),
	}
	r.late(a, raw, &s)
	address := raw.Broker + raw.Listen
	switch {
	case raw.Broker != "" && raw.Listen != "":
		r.fault(a, "listen",
			"listen and broker exclude each other: keep listen for the embedded broker, or broker for yours")
	case address == "":
		r.fault(a, "broker",
			"broker is missing: write broker = \"mqtt://it-broker:1883\", "+
				"or listen = \"mqtt://0.0.0.0:1883\" for the embedded broker")
	case raw.Broker != "":
		r.forbid(a, "broker; it belongs to listen, the embedded broker", "users_file")
		s.Broker = r.address(a, "broker", raw.Broker, mqttPorts())
		s.Username = raw.Username
		s.Password = r.password(a, raw.Username, raw.PasswordFile)
		s.ClientID = r.clientID(a, cmp.Or(raw.ClientID, "heliorx-"+pair+"-"+raw.Channel))
	default:
		r.forbid(a, "listen; the embedded broker has users_file", "username", "password_file", "client_id", "version")
		s.Listen = r.address(a, "listen", raw.Listen, mqttPorts())
		s.UsersFile = r.usersFile(a, raw.UsersFile)
		if raw.UsersFile == "" {
			r.warn(a, "listen",
				"any client that reaches the embedded broker can read: set users_file to require a password")
		}
	}
	if strings.HasPrefix(address, "mqtts:") {
		s.TLS = r.tls(a, raw.CAFile, raw.Certificate, raw.PrivateKey)
	} else {
		r.forbid(a, "an mqtt:// address; write mqtts:// for TLS", "ca_file", "certificate", "private_key")
	}
	return s
}

// late reads what becomes of messages that come after an outage healed.
func (r *report) late(a tablePath, raw rawMQTTSink, s *MQTTSink) {
	s.Late = Late(r.choice(a, "late", cmp.Or(raw.Late, string(LateSeparate)), string(LateSeparate), string(LateSame),
		string(LateDrop)))
	if s.Late != LateSeparate {
		r.forbid(a, "late = \""+string(s.Late)+"\"; it belongs to \"separate\"", "late_prefix")
		return
	}
	s.LatePrefix = r.topicPrefix(a, "late_prefix", raw.LatePrefix)
	if !r.has(a, "late_prefix") {
		s.LatePrefix = defaultLatePrefix
	} else if s.LatePrefix == "" {
		r.fault(a, "late_prefix", "late_prefix is empty: write late = \"same\" for the messages' own topics")
	} else if !strings.HasSuffix(s.LatePrefix, "/") {
		r.warn(a, "late_prefix", "late_prefix %q does not end with \"/\": the topic %q becomes %q", s.LatePrefix,
			s.TopicPrefix+"a", s.LatePrefix+s.TopicPrefix+"a")
	}
}

func (r *report) topicPrefix(a tablePath, key, s string) string {
	if strings.ContainsAny(s, "+#\x00") || !utf8.ValidString(s) || strings.HasPrefix(s, "$") {
		r.fault(a, key, "%s %q must not contain \"+\", \"#\" or NUL, nor begin with \"$\"", key, s)
	}
	return s
}

func (r *report) mqttVersion(a tablePath, s string) MQTTVersion {
	return MQTTVersion(r.choice(a, "version", cmp.Or(s, string(MQTTAuto)), string(MQTTAuto), string(MQTT5),
		string(MQTT311)))
}

func (r *report) clientID(a tablePath, s string) string {
	if len(s) > 256 || !utf8.ValidString(s) || strings.ContainsAny(s, "\x00") {
		r.fault(a, "client_id", "client_id must be UTF-8 of at most 256 bytes")
	}
	return s
}

// filterFault describes what is wrong with an MQTT topic filter (MQTT 5.0 §4.7), or
// returns "".
func filterFault(filter string) string {
	switch {
	case filter == "":
		return "is empty"
	case len(filter) > 65535 || !utf8.ValidString(filter) || strings.ContainsRune(filter, 0):
		return "is not UTF-8 of at most 65535 bytes without NUL"
	case strings.HasPrefix(filter, "$share/"):
		return "is a shared subscription: other clients would receive part of the messages"
	}
	levels := strings.Split(filter, "/")
	for i, level := range levels {
		if strings.Contains(level, "#") && (level != "#" || i != len(levels)-1) {
			return "may have \"#\" only as the complete last level"
		}
		if strings.Contains(level, "+") && level != "+" {
			return "may have \"+\" only as a complete level"
		}
	}
	return ""
}
