// Package initial writes the first pair of configurations: questions, what an answer
// may be, what is suggested without one, and the two commented TOML files that all answers
// lead to.
//
// It opens no connection and writes no file; of files that an answer names it reads whether they
// will do. It refuses to write
// secrets into a configuration: a password that was typed is a file of its own. What a
// configuration may hold package config decides; the checks here only say it sooner.
package initial

import (
	"cmp"
	"fmt"
	"path/filepath"
)

// File is one that is to be written, and its permissions are for its owner alone if Secret.
type File struct {
	Path    string
	Content string
	Secret  bool
	Flag    string // names another one
}

// Files returns what is written beside the key and the users file: passwords, then both
// configurations.
func Files(a Answers) []File {
	var list []File
	add := func(l Login, configuration, name, flag string) {
		if l.typed() {
			list = append(list, File{filepath.Join(filepath.Dir(configuration), name), l.Password + "\n", true, flag})
		}
	}
	all := a.passwords()
	for i, s := range a.Each() {
		names := all[i]
		if s.OPCUA != "" {
			add(s.OPCUALogin, a.TX, names.opcua, "opcua-password-file")
		}
		if s.MQTT != "" {
			add(s.MQTTLogin, a.TX, names.mqtt, "mqtt-password-file")
		}
		if s.MQTT != "" && (i == 0 || names.it != all[0].it) {
			add(s.MQTTToLogin, a.RX, names.it, "mqtt-to-password-file")
		}
	}
	list = append(list, File{Path: a.TX, Content: Transmitter(a), Flag: "tx"},
		File{Path: a.RX, Content: Receiver(a), Flag: "rx"})
	if a.onBoard() {
		list = append(list, File{Path: NetworkFile(a.TX), Content: Network(a, "tx"), Flag: "tx"},
			File{Path: NetworkFile(a.RX), Content: Network(a, "rx"), Flag: "rx"})
	}
	return list
}

// NewUsers returns the path of the users file that is to be made, "" for none.
func NewUsers(a Answers) string {
	if a.UsersFile != "" || a.reader().Name == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(a.RX), UsersName)
}

// Reader returns the first user of the users file that is to be made.
func Reader(a Answers) Login { return a.reader() }

// Transmitter returns the configuration of heliotx.
func Transmitter(a Answers) string {
	d := document{}
	d.note("Configuration of heliotx, made by \"heliograph init\". Check it with the other side's:", check(a))
	d.note("All keys: \"firmware/config/reference-tx.toml\". After a change restart heliotx.")
	head(&d, a)
	link(&d, a, a.TX, true)
	state(&d, a, a.TX, "state-tx")
	if servers := list(a.NTP); len(servers) > 0 {
		d.table("[time]")
		d.key("servers", servers, "NTP in the plant; RX takes the time from TX")
	}
	status(&d, a.TXStatus, "TX")
	names := a.passwords()
	for i, s := range a.Each() {
		source(&d, s, names[i])
	}
	return d.String()
}

// Receiver returns the configuration of heliorx.
func Receiver(a Answers) string {
	d := document{}
	d.note("Configuration of heliorx, made by \"heliograph init\". Check it with the other side's:", check(a))
	d.note("All keys: \"firmware/config/reference-rx.toml\". After a change restart heliorx.")
	head(&d, a)
	link(&d, a, a.RX, false)
	state(&d, a, a.RX, "state-rx")
	status(&d, a.RXStatus, "RX")
	names := a.passwords()
	for i, s := range a.Each() {
		sink(&d, s, names[i])
	}
	return d.String()
}

func check(a Answers) string {
	if a.onBoard() {
		return fmt.Sprintf("heliograph check --board %s %s %s", a.Board, quote(a.TX), quote(a.RX))
	}
	return "heliograph check " + quote(a.TX) + " " + quote(a.RX)
}

func head(d *document, a Answers) { d.key("pair", a.Pair, "the same on both sides") }

func link(d *document, a Answers, file string, sends bool) {
	d.table("[link]")
	d.key("medium", a.Medium, mediumReason(a))
	switch a.Medium {
	case udp:
		d.key("address", a.Address, "TX sends to it, RX listens on it")
		if sends && a.PeerMAC != "" {
			d.key("peer_mac", a.PeerMAC, "RX's or the diode's: nothing answers ARP")
		}
		d.key("rate", a.Rate, rateReason(a))
	case ethernet:
		d.key("interface", pick(sends, a.TXInterface, a.RXInterface), "only the link uses it")
		fixed := map[string]string{fastFibre: "100", gigabitFibre: "1000"}[a.Carrier]
		d.off("speed", cmp.Or(fixed, "100"), "where the other end of the cable does not negotiate")
		d.key("rate", a.Rate, rateReason(a))
	case uart:
		board := a.board().Link
		d.key("device", pick(sends, cmp.Or(a.TXDevice, board.Device), cmp.Or(a.RXDevice, board.Device)),
			pick(a.onBoard(), "the link's port of "+a.Board, "a serial port that only the link uses"))
		d.number("baud", a.Baud, "the same on both sides; lower it if RX counts CRC errors")
	}
	d.key("overhead", a.Overhead, overheadReason(a))
	d.key("key_file", beside(file, a.Key), "the secret of the pair: the same file on both sides")
}

func mediumReason(a Answers) string {
	switch {
	case a.Medium == uart:
		return "one wire or an opto-isolated line, TXD to RXD"
	case a.Medium == ethernet && a.Carrier == bought:
		return "a diode that passes any Ethernet frame"
	case a.Medium == ethernet:
		return "one TX-only fibre between two converters"
	case a.OneMachine():
		return "both on this machine, to try it"
	}
	return "a diode that passes IP"
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// state names the folder of a role's state, where it has no place of its own.
func state(d *document, a Answers, file, name string) {
	if a.onBoard() || packaged(file) {
		return
	}
	d.table("[state]")
	d.key("directory", name, "must survive a restart; not the other side's")
}

func status(d *document, listen, side string) {
	if listen == "" {
		return
	}
	d.table("[status]")
	d.key("listen", listen, "page of "+side+", /readyz, /metrics; \"https://…\" for TLS")
	d.off("users_file", "status-users", "who may read it: \"heliograph user add FILE NAME\"")
}

func source(d *document, a Answers, names passwords) {
	if a.OPCUA != "" {
		policy, mode := a.security()
		d.table("[[opcua]]")
		d.key("channel", a.OPCUAChannel, "the same name in RX's file")
		d.key("endpoint", a.OPCUA, "")
		d.key("security_policy", policy, securityReason(a))
		d.key("security_mode", mode, "")
		if len(a.Tolerate) > 0 {
			d.off("tolerate", a.Tolerate, "or give the server a certificate without this fault")
		}
		logsIn(d, a.OPCUALogin, a.TX, names.opcua)
		d.off("exclude", []string{"/Objects/Plant/Recipe/**"}, "browse paths or NodeIds that stay in the plant")
	}
	if a.MQTT != "" {
		d.table("[[mqtt]]")
		d.key("channel", a.MQTTChannel, "the same name in RX's file")
		d.key("broker", a.MQTT, "")
		if a.MQTTAuthority != "" {
			d.key("ca_file", beside(a.TX, a.MQTTAuthority), "who has signed the broker's certificate")
		}
		d.key("topics", list(a.MQTTTopics), "topic filters that cross")
		logsIn(d, a.MQTTLogin, a.TX, names.mqtt)
	}
	if a.Syslog != "" {
		d.table("[[syslog]]")
		d.key("channel", a.SyslogChannel, "the same name in RX's file")
		d.key("listen", list(a.Syslog), "ports below 1024 take root on a Linux machine")
	}
}

func logsIn(d *document, l Login, file, name string) {
	if l.Name == "" {
		return
	}
	d.key("username", l.Name, "")
	d.key("password_file", l.passwordFile(file, name), "one line; chmod 600")
}

func sink(d *document, a Answers, names passwords) {
	if a.OPCUA != "" {
		d.table("[[opcua]]")
		d.key("channel", a.OPCUAChannel, "the same name in TX's file")
		d.key("listen", a.OPCUAListen, "the read-only mirror")
		if users := a.users(); users != "" {
			d.key("users_file", users, "\"heliograph user add "+users+" NAME\" adds one")
		} else {
			d.key("anonymous", true, "a client needs a certificate that you trust, and no password")
			d.off("users_file", UsersName, "or, in place of anonymous: \"heliograph user add users NAME\"")
		}
		if a.History != "" {
			d.key("history", a.History, "how far back HistoryRead goes")
			d.off("history_size", "2GiB", "of the disk with the state; the oldest goes first")
		}
	}
	if a.MQTT != "" {
		broker(d, a, names)
	}
	if a.Syslog != "" {
		d.table("[[syslog]]")
		d.key("channel", a.SyslogChannel, "the same name in TX's file")
		d.key("forward", a.SyslogTo, collectorReason(a))
	}
}

func collectorReason(a Answers) string {
	if a.SyslogTo == defaultCollector {
		return "your collector; to try it: \"heliograph syslog 127.0.0.1:5601\""
	}
	return "your collector"
}

// broker is the table of the channel to IT's broker.
func broker(d *document, a Answers, names passwords) {
	d.table("[[mqtt]]")
	d.key("channel", a.MQTTChannel, "the same name in TX's file")
	if a.MQTTTo == "" {
		d.key("listen", a.MQTTListen, "the built-in broker; it takes nothing from clients")
		if users := a.users(); users != "" {
			d.key("users_file", users, "\"heliograph user add "+users+" NAME\" adds one")
		}
		return
	}
	d.key("broker", a.MQTTTo, "your broker")
	if a.MQTTToAuthority != "" {
		d.key("ca_file", beside(a.RX, a.MQTTToAuthority), "who has signed the broker's certificate")
	}
	logsIn(d, a.MQTTToLogin, a.RX, names.it)
	d.off("topic_prefix", "plant/"+a.Pair+"/", "put before every topic")
}
