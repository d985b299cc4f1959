package config

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// LoadTX reads and checks the file of the plant side. Faults in its content are returned
// as Faults.
func LoadTX(path string) (TX, []Warning, error) { return load(path, parseTX) }

// LoadRX reads and checks the file of the IT side. Faults in its content are returned as
// Faults.
func LoadRX(path string) (RX, []Warning, error) { return load(path, parseRX) }

// ParseTX is LoadTX for a text whose relative paths are relative to dir.
func ParseTX(text io.Reader, dir string) (TX, []Warning, error) {
	return parseTX(text, "configuration", dir)
}

// ParseRX is LoadRX for a text whose relative paths are relative to dir.
func ParseRX(text io.Reader, dir string) (RX, []Warning, error) {
	return parseRX(text, "configuration", dir)
}

func load[C any](
	path string, parse func(text io.Reader, file, dir string) (C, []Warning, error),
) (c C, warnings []Warning, err error) {
	f, err := os.Open(path)
	if err != nil {
		return c, nil, fmt.Errorf("config: %w", err)
	}
	defer f.Close()
	return parse(f, path, filepath.Dir(path))
}

func parseTX(text io.Reader, file, dir string) (TX, []Warning, error) {
	r := &report{file: file, dir: dir}
	var raw rawTX
	if err := r.decode(text, &raw, &rawRX{}); err != nil {
		return TX{}, nil, err
	}
	c := TX{
		Pair:   r.name("", "pair", raw.Pair),
		Link:   r.link(raw.Link, true),
		State:  r.state(raw.State.Directory),
		Memory: r.memory(raw.Memory),
		Replay: r.replay(raw.Replay),
		Time:   r.timeServers(raw.Time),
		Status: r.status(raw.Status),
	}
	c.PKI = r.pki(raw.PKI, c.State)
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
	ports.add("status", "listen", "tcp", c.Status.Listen)
	ports.add("status", keyUpdateListen, "tcp", c.Status.UpdateListen)
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
	if err := r.err(); err != nil {
		return TX{}, r.warnings, err
	}
	return c, r.warnings, nil
}

func parseRX(text io.Reader, file, dir string) (RX, []Warning, error) {
	r := &report{file: file, dir: dir}
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
		Audit:      r.audit(raw.Audit),
	}
	c.PKI = r.pki(raw.PKI, c.State)
	channels, ports := channelSet{report: r}, portSet{report: r}
	ports.add("status", "listen", "tcp", c.Status.Listen)
	ports.add("status", keyUpdateListen, "tcp", c.Status.UpdateListen)
	for i, one := range raw.OPCUA {
		a := element("opcua", i)
		channels.add(a, one.Channel)
		sink := r.opcuaSink(a, one)
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
	channels.checkCount()
	if err := r.err(); err != nil {
		return RX{}, r.warnings, err
	}
	return c, r.warnings, nil
}
