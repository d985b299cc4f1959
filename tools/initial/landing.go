package initial

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"heliograph/firmware/config"
)

// landings say which question a key of a configuration answers: "SIDE TABLE.KEY".
func landings() map[string]string {
	return map[string]string{
		"tx .interface": "tx-own", "rx .interface": "rx-own", "tx .address": "tx-ip", "rx .address": "rx-ip",
		"tx .pair": "pair", "tx link.medium": "medium", "tx link.address": "address", "tx link.peer_mac": "peer-mac",
		"tx link.rate": "rate", "tx link.overhead": "overhead", "tx link.baud": "baud",
		"tx link.device": "tx-device", "rx link.device": "rx-device",
		"tx link.interface": "tx-interface", "rx link.interface": "rx-interface",
		"tx time.servers": "ntp", "tx status.listen": "tx-status", "rx status.listen": "rx-status",
		"tx opcua.channel": "opcua-channel", "tx opcua.endpoint": "opcua", "tx opcua.username": "opcua-user",
		"tx opcua.password_file": "opcua-password-file", "rx opcua.listen": "opcua-listen",
		"rx opcua.users_file": "users-file", "rx opcua.history": "history",
		"tx mqtt.channel": "mqtt-channel", "tx mqtt.broker": "mqtt", "tx mqtt.ca_file": "mqtt-ca",
		"tx mqtt.topics": "mqtt-topics", "tx mqtt.username": "mqtt-user", "tx mqtt.password_file": "mqtt-password-file",
		"rx mqtt.listen": "mqtt-listen", "rx mqtt.users_file": "users-file", "rx mqtt.broker": "mqtt-to",
		"rx mqtt.ca_file": "mqtt-to-ca", "rx mqtt.username": "mqtt-to-user",
		"rx mqtt.password_file": "mqtt-to-password-file",
		"tx syslog.channel":     "syslog-channel", "tx syslog.listen": "syslog", "rx syslog.forward": "syslog-to",
	}
}

// Faults are what package config finds wrong with answers, in the configurations that they lead
// to. What is not an answer, such as a key that is still to be made, is left out.
func Faults(a Answers) (list []Fault) {
	for _, s := range a.Each() {
		list = append(list, faults(s)...)
	}
	return list
}

// faults are those of one source of each kind.
func faults(a Answers) (list []Fault) {
	_, _, tx := config.ParseTX(strings.NewReader(Transmitter(a)), filepath.Dir(a.TX))
	_, _, rx := config.ParseRX(strings.NewReader(Receiver(a)), filepath.Dir(a.RX))
	t, _ := errors.AsType[config.Faults](tx)
	r, _ := errors.AsType[config.Faults](rx)
	return append(land("tx", Transmitter(a), t, a), land("rx", Receiver(a), r, a)...)
}

// Blame returns the first answer that faults of the two files are about, nil for none.
func Blame(faults config.Faults, a Answers) error {
	for _, f := range faults {
		side, text := "rx", Receiver(a)
		switch f.File {
		case a.TX:
			side, text = "tx", Transmitter(a)
		case NetworkFile(a.TX):
			side, text = "tx", Network(a, "tx")
		case NetworkFile(a.RX):
			text = Network(a, "rx")
		}
		if list := land(side, text, config.Faults{f}, a); len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// land finds the answers that faults of a configuration are about.
func land(side, text string, faults config.Faults, a Answers) (list []Fault) {
	lines, flags := strings.Split(text, "\n"), landings()
	for _, f := range faults {
		table, key := place(lines, f.Line)
		if strings.Count("\n"+strings.Join(lines[:max(0, min(f.Line, len(lines)))], "\n"), "\n[["+table+"]]") > 1 {
			continue // of a further source
		}
		i := indexOf(flags[side+" "+table+"."+key])
		if i < 0 {
			continue
		}
		q := Questions()[i]
		if answer := *q.Field(&a); answer != "" {
			list = append(list, Fault{q.Flag, answer, inWords(inFlags(f.Message, side, lines, a), key, answer)})
		}
	}
	return list
}

// place returns the table and the key of a line, counted from 1.
func place(lines []string, n int) (table, key string) {
	if n < 1 || n > len(lines) {
		return "", ""
	}
	for _, l := range lines[:n] {
		if strings.HasPrefix(l, "[") {
			table = strings.Trim(l, "[]")
		}
	}
	key, _, _ = strings.Cut(lines[n-1], "=")
	return table, strings.TrimSpace(key)
}

// otherLine is where a message says that a line of a file has something else.
var otherLine = regexp.MustCompile(` on line (\d+)( of TX's file)?`)

// inFlags has a message name flags in place of lines, for the files are not written yet.
func inFlags(message, side string, lines []string, a Answers) string {
	return otherLine.ReplaceAllStringFunc(message, func(s string) string {
		found := otherLine.FindStringSubmatch(s)
		if found[2] != "" {
			side, lines = "tx", strings.Split(Transmitter(a), "\n")
		}
		n, _ := strconv.Atoi(found[1]) // digits; one too large is no line
		table, key := place(lines, n)
		if flag := landings()[side+" "+table+"."+key]; flag != "" {
			return " with --" + flag
		}
		return ""
	})
}

// inWords leaves out of a message what a question says itself: the key and the answer.
func inWords(message, key, answer string) string {
	if rest, ok := strings.CutPrefix(message, key+": "); ok {
		return rest
	}
	if rest, ok := strings.CutPrefix(message, key+" "); ok {
		return "it " + strings.TrimPrefix(rest, strconv.Quote(answer)+" ")
	}
	return message
}

func indexOf(flag string) int {
	for i, q := range Questions() {
		if q.Flag == flag {
			return i
		}
	}
	return -1
}

// configured says what package config finds wrong with one answer. Other answers that are still
// missing are those that are suggested.
func (q Question) configured(a Answers, answer string) error {
	if err := q.readable(answer); err != nil {
		return err
	}
	*q.Field(&a) = answer
	for _, other := range Questions() {
		if field := other.Field(&a); *field == "" && other.asked(a) && other.Secret == nil {
			*field = other.Suggest(a)
		}
	}
	for _, f := range faults(a) {
		if f.Flag == q.Flag {
			return f
		}
	}
	return nil
}

// readable refuses a pipe or a device in place of a file: reading one may not end.
func (q Question) readable(answer string) error {
	if !strings.HasSuffix(q.Flag, "-file") && !strings.HasSuffix(q.Flag, "-ca") {
		return nil
	}
	if info, err := os.Stat(answer); err == nil && !info.Mode().IsRegular() {
		return Fault{q.Flag, answer, "it is not a file"}
	}
	return nil
}

// Check completes answers, and says what is wrong with the answers that flags have given, as far as it shows before
// anything was asked. whole says that none are to come: what is missing is a fault then.
func Check(a *Answers, given Given, whole bool) error {
	for _, q := range Questions() {
		err := q.complete(a, given)
		_, pointless := errors.AsType[Pointless](err)
		if err != nil && (whole || given[q.Flag] && !pointless) {
			return err
		}
	}
	if !whole {
		return nil
	}
	if err := Sourced(*a); err != nil {
		return err
	}
	return First(*a)
}

// First is the first of Faults, nil for none.
func First(a Answers) error {
	if list := Faults(a); len(list) > 0 {
		return list[0]
	}
	return nil
}
