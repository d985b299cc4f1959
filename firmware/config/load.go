package config

import (
	"cmp"
	"io"
	"path/filepath"

	"heliograph/firmware/platform/regular"
)

// LoadTX reads and checks the file of the plant side, for any machine, as Machine.LoadTX does.
func LoadTX(path string) (TX, []Warning, error) { return Machine{}.LoadTX(path) }

// LoadRX reads and checks the file of the IT side, for any machine, as Machine.LoadRX does.
func LoadRX(path string) (RX, []Warning, error) { return Machine{}.LoadRX(path) }

// LoadTX reads and checks the file of the plant side for this machine. Faults in its content are
// returned as Faults, the other role's file as OtherRole, and one that cannot be read as Unread.
func (m Machine) LoadTX(path string) (TX, []Warning, error) {
	c, warnings, err := load(m, path, parseTX)
	if err != nil {
		_, _, asRX := load(m, path, parseRX)
		err = ofOther(path, "rx", err, asRX)
	}
	return c, warnings, err
}

// LoadRX reads and checks the file of the IT side for this machine. Faults in its content are
// returned as Faults, the other role's file as OtherRole, and one that cannot be read as Unread.
func (m Machine) LoadRX(path string) (RX, []Warning, error) {
	c, warnings, err := load(m, path, parseRX)
	if err != nil {
		_, _, asTX := load(m, path, parseTX)
		err = ofOther(path, "tx", err, asTX)
	}
	return c, warnings, err
}

// ParseTX is LoadTX for a text whose relative paths are relative to dir.
func ParseTX(text io.Reader, dir string) (TX, []Warning, error) {
	return parseTX(&report{file: "configuration", dir: dir}, text)
}

// ParseRX is LoadRX for a text whose relative paths are relative to dir.
func ParseRX(text io.Reader, dir string) (RX, []Warning, error) {
	return parseRX(&report{file: "configuration", dir: dir}, text)
}

func load[C any](
	m Machine, path string, parse func(r *report, text io.Reader) (C, []Warning, error),
) (c C, warnings []Warning, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return c, nil, Unread{err} // it names the file
	}
	defer f.Close()
	return parse(&report{file: path, dir: filepath.Dir(path), machine: m}, f)
}

// ReadFile reads a file that an operator names, which is not larger than a configuration may be.
func ReadFile(path string) ([]byte, error) { return regular.Read(path, maxFile) }

func parseTX(r *report, text io.Reader) (TX, []Warning, error) {
	r.role = "tx"
	var raw rawTX
	if err := r.decode(text, &raw, &rawRX{}); err != nil {
		return TX{}, nil, err
	}
	c := TX{
		Pair:      r.name("", "pair", raw.Pair),
		Link:      r.link(raw.Link, true),
		State:     r.state(raw.State.Directory),
		Memory:    r.memory(raw.Memory),
		Replay:    r.replay(raw.Replay),
		Time:      r.timeServers(raw.Time),
		Status:    r.status(raw.Status),
		Telemetry: r.telemetry(raw.Telemetry),
	}
	c.PKI = r.pki(raw.PKI, c.State)
	r.destination(c.Link)
	channels := channelSet{report: r}
	for i, one := range raw.OPCUA {
		a := element("opcua", i)
		channels.add(a, one.Channel)
		c.OPCUA = append(c.OPCUA, r.opcuaSource(a, one))
	}
	for i, one := range raw.MQTT {
		a := element("mqtt", i)
		channels.add(a, one.Channel)
		c.MQTT = append(c.MQTT, r.mqttSource(a, one, c.Pair))
	}
	ports := portSet{report: r}
	ports.addStatus(c.Status)
	for i, one := range raw.Syslog {
		a := element("syslog", i)
		channels.add(a, one.Channel)
		source := r.syslogSource(a, one)
		c.Syslog = append(c.Syslog, source)
		for _, url := range source.Listen {
			ports.addURL(a, "listen", url)
		}
	}
	channels.checkCount()
	r.fitMachine(Setup{Role: "tx", Link: c.Link, Listen: ports.settings})
	if err := r.err(); err != nil {
		return TX{}, r.warnings, err
	}
	return c, r.warnings, nil
}

func parseRX(r *report, text io.Reader) (RX, []Warning, error) {
	r.role = "rx"
	var raw rawRX
	if err := r.decode(text, &raw, &rawTX{}); err != nil {
		return RX{}, nil, err
	}
	c := RX{
		Pair:       r.name("", "pair", raw.Pair),
		StaleAfter: r.duration("", "stale_after", cmp.Or(raw.StaleAfter, defaultStaleAfter), minStale, maxStale),
		Link:       r.link(raw.Link, false),
		State:      r.state(raw.State.Directory),
		Memory:     r.memory(raw.Memory),
		Time:       r.timeServers(raw.Time),
		Status:     r.status(raw.Status),
		Telemetry:  r.telemetry(raw.Telemetry),
		Audit:      r.audit(raw.Audit),
	}
	c.PKI = r.pki(raw.PKI, c.State)
	channels, ports := channelSet{report: r}, portSet{report: r}
	ports.add("link", "address", "udp", c.Link.Address)
	ports.addStatus(c.Status)
	for i, one := range raw.OPCUA {
		a := element("opcua", i)
		channels.add(a, one.Channel)
		sink := r.opcuaSink(a, one)
		r.warnUnusable(a, sink, c.PKI)
		c.OPCUA = append(c.OPCUA, sink)
		ports.addURL(a, "listen", sink.Listen)
	}
	for i, one := range raw.MQTT {
		a := element("mqtt", i)
		channels.add(a, one.Channel)
		sink := r.mqttSink(a, one, c.Pair)
		c.MQTT = append(c.MQTT, sink)
		ports.addURL(a, "listen", sink.Listen)
	}
	for i, one := range raw.Syslog {
		a := element("syslog", i)
		channels.add(a, one.Channel)
		c.Syslog = append(c.Syslog, r.syslogSink(a, one))
	}
	c.Announce = r.announce(raw.Announce, len(raw.MQTT) > 0)
	r.warnUnusable("announce", c.Announce.OPCUA, c.PKI)
	ports.addURL("announce", "listen", c.Announce.OPCUA.Listen)
	channels.checkCount()
	r.fitMachine(Setup{Role: "rx", Link: c.Link, Listen: ports.settings})
	if err := r.err(); err != nil {
		return RX{}, r.warnings, err
	}
	return c, r.warnings, nil
}
