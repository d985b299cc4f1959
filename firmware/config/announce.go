package config

import (
	"strings"

	"heliograph/firmware/conduit/record"
)

// TrustLines names the syslog sink of the gateway's own state. No channel can have this
// name: it has a space.
const TrustLines = record.Gateway + " trust"

// announce checks how the gateway publishes its own state; brokers is whether there is
// an MQTT channel.
func (r *report) announce(raw rawAnnounce, brokers bool) Announce {
	const a, key = tablePath("announce"), "mqtt_prefix"
	c := Announce{
		MQTTPrefix: r.topicPrefix(a, key, raw.MQTTPrefix),
		Syslog: r.forward(a, rawAudit{raw.Forward, raw.CAFile, raw.Certificate, raw.PrivateKey, raw.Spool}, TrustLines,
			"no forward; add it"),
	}
	if raw.Listen == "" {
		r.forbid(a, "no listen; add it", "security", "anonymous", "users_file", "tolerate_expired")
	} else {
		c.OPCUA = r.opcuaSink(a, rawOPCUASink{Channel: record.Gateway, Listen: raw.Listen, Security: raw.Security,
			Anonymous: raw.Anonymous, UsersFile: raw.UsersFile, Expired: raw.Expired})
	}
	switch {
	case !r.has(a, key):
	case c.MQTTPrefix == "":
		r.fault(a, key, "mqtt_prefix is empty: write mqtt_prefix = \"heliograph/\", or remove the key")
	case !strings.HasSuffix(c.MQTTPrefix, "/"):
		r.fault(a, key, "mqtt_prefix %q must end with \"/\": the name of the pair follows it", c.MQTTPrefix)
	case !brokers:
		r.fault(a, key, "mqtt_prefix has no effect without a broker: add an [[mqtt]] table, or remove the key")
	}
	return c
}
