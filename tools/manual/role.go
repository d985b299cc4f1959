package manual

import (
	"flag"
	"fmt"
	"strings"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/role"
)

// side is a role that has pages.
type side struct {
	name, other string
	what        string
	does        string
	reference   string // configuration with every key
	minimal     string
}

func roles() []side {
	return []side{
		{name: "heliotx", other: "heliorx",
			what: "transmitter of a one-way gateway for OPC UA, MQTT and syslog",
			does: "heliotx is the plant's side. It reads OPC UA servers, MQTT brokers and syslog senders, and sends " +
				"what they say through a link that carries nothing back. SIGHUP makes it browse its OPC UA servers " +
				"again at once; SIGTERM ends it.",
			reference: config.ReferenceTX(), minimal: config.MinimalTX()},
		{name: "heliorx", other: "heliotx",
			what: "receiver of a one-way gateway for OPC UA, MQTT and syslog",
			does: "heliorx is IT's side. It receives what heliotx sends, mirrors the plant's OPC UA servers, " +
				"publishes to an MQTT broker or is one, and forwards syslog to a collector. SIGTERM ends it.",
			reference: config.ReferenceRX(), minimal: config.MinimalRX()},
	}
}

// daemon is the text of the role's page.
func (s side) daemon() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# NAME\n%s \\- %s\n\n# SYNOPSIS\n%s\n\n# DESCRIPTION\n%s\n\n", s.name, s.what,
		literal(s.name+" --config FILE [flags]"), plain(s.does))
	b.WriteString("Standard output has answers, standard error the log. Under systemd it reports by " +
		"**sd_notify**(3) that it is ready, and that it makes progress.\n\n# OPTIONS\n")
	role.Flags(s.name).VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		if value != "" {
			value = " *" + plain(value) + "*"
		}
		fmt.Fprintf(&b, "**--%s**%s\n: %s\n\n", f.Name, value, plain(usage))
	})
	b.WriteString(exitStatus)
	fmt.Fprintf(&b, "# FILES\n*/etc/heliograph/%[1]s.toml*\n: the configuration of the packaged service\n\n"+
		"*/var/lib/heliograph/%[1]s*\n: its state, when the configuration is that file and names no other folder\n\n"+
		"# EXAMPLES\n%[2]s\n\n# SEE ALSO\n%[3]s, %[4]s, %[5]s\n", s.name,
		literal(s.name+" --check --config "+s.name+".toml\n"+s.name+" --config "+s.name+".toml"),
		reference(s.name+".toml", 5), reference(s.other, 8), reference("heliograph", 1))
	return b.String()
}

// configuration is the text of the page of the role's configuration.
func (s side) configuration() string {
	return fmt.Sprintf("# NAME\n%[1]s.toml \\- configuration of %[1]s\n\n# DESCRIPTION\n"+
		"A file in TOML 1.0. An unknown key, a value that is out of range and an empty value are faults, each "+
		"reported with its line by **heliograph check** and **%[1]s --check**. The last section shows every key with "+
		"its meaning, its default or an alternative.\n\n# EXAMPLES\nThe shortest useful file:\n\n%[2]s\n\n"+
		"# KEYS\n%[3]s\n\n# SEE ALSO\n%[4]s, %[5]s, %[6]s\n", s.name, literal(s.minimal), literal(s.reference),
		reference(s.name, 8), reference(s.other+".toml", 5), reference("heliograph-check", 1))
}
