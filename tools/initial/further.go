package initial

import (
	"net"
	"slices"
	"strconv"
	"strings"
)

// Kinds are the kinds of sources, as their flags name them.
func Kinds() []string { return []string{"opcua", "mqtt", "syslog"} }

// PerSource reports whether a flag is about one source of a kind, and so may be repeated with it.
func PerSource(flag, kind string) bool {
	switch flag {
	case "history":
		return kind == "opcua"
	case "users-file":
		return false
	}
	return flag == kind || strings.HasPrefix(flag, kind+"-")
}

// Further returns the answers to begin with for one more source of a kind: the pair, the link,
// the files, where IT gets the kind and who may log in at RX are as before.
func (a Answers) Further(kind string) Answers {
	b := Answers{TX: a.TX, RX: a.RX, Key: a.Key, Pair: a.Pair, Board: a.Board, Medium: a.Medium, TXDevice: a.TXDevice,
		RXDevice: a.RXDevice, Baud: a.Baud, TXInterface: a.TXInterface, RXInterface: a.RXInterface, Carrier: a.Carrier,
		Address: a.Address, PeerMAC: a.PeerMAC, TXOwn: a.TXOwn, RXOwn: a.RXOwn, Rate: a.Rate, Overhead: a.Overhead,
		Only: kind, MQTTTo: a.MQTTTo, MQTTToAuthority: a.MQTTToAuthority, MQTTToLogin: a.MQTTToLogin,
		SyslogTo: a.SyslogTo, UsersFile: a.UsersFile, Reader: a.reader()}
	for _, s := range a.Each() {
		b.taken = append(b.taken, s.channels()...)
		for _, l := range append([]string{s.OPCUAListen, s.MQTTListen}, list(s.Syslog)...) {
			if l != "" {
				b.ports = append(b.ports, portOf(l, ""))
			}
		}
		if a.OneMachine() { // the plant's may be there too
			b.ports = append(b.ports, portOf(s.OPCUA, "4840"), portOf(s.MQTT, "1883"))
		}
	}
	b.inherited = b.users()
	if kind != "mqtt" {
		b.MQTTTo, b.MQTTToAuthority, b.MQTTToLogin = "", "", Login{}
	}
	if kind != "syslog" {
		b.SyslogTo = ""
	}
	return b
}

// Each returns the answers about each source, those with the first of each kind first.
func (a Answers) Each() []Answers {
	more := a.More
	a.More = nil
	return append([]Answers{a}, more...)
}

// only reports whether a source of a kind is asked for.
func (a Answers) only(kind string) bool { return a.Only == "" || a.Only == kind }

func (a Answers) channels() (names []string) {
	for _, c := range []struct{ source, channel string }{{a.OPCUA, a.OPCUAChannel}, {a.MQTT, a.MQTTChannel},
		{a.Syslog, a.SyslogChannel}} {
		if c.source != "" {
			names = append(names, c.channel)
		}
	}
	return names
}

// reader is the first user of a new users file.
func (a Answers) reader() Login {
	for _, s := range a.Each() {
		if s.Reader.Name != "" {
			return s.Reader
		}
	}
	return Login{}
}

// passwords are the names of files for passwords that were typed; "" for those that were not.
type passwords struct{ opcua, mqtt, it string }

// passwords returns them for each source. Two have the same file only where a further source
// logs in at IT's broker as the first does.
func (a Answers) passwords() (all []passwords) {
	taken := map[string]bool{} // in small letters: to some file systems "Line" is "line"
	free := func(l Login, name string) string {
		if !l.typed() {
			return ""
		}
		one := name
		for n := 2; taken[strings.ToLower(one)]; n++ {
			one = name + "-" + strconv.Itoa(n)
		}
		taken[strings.ToLower(one)] = true
		return one + passwordSuffix
	}
	for i, s := range a.Each() {
		if s.Only == "" {
			all = append(all, passwords{free(s.OPCUALogin, opcuaPassword), free(s.MQTTLogin, mqttPassword),
				free(s.MQTTToLogin, itPassword)})
			continue
		}
		p := passwords{opcua: free(s.OPCUALogin, s.OPCUAChannel), mqtt: free(s.MQTTLogin, s.MQTTChannel)}
		if i > 0 && s.MQTTToLogin == a.MQTTToLogin {
			p.it = all[0].it
		} else {
			p.it = free(s.MQTTToLogin, "it-"+s.MQTTChannel)
		}
		all = append(all, p)
	}
	return all
}

// freeName returns a name that no channel has: it, or with a number.
func (a Answers) freeName(name string) string {
	free := name
	for n := 2; slices.Contains(a.taken, free); n++ {
		free = name + "-" + strconv.Itoa(n)
	}
	return free
}

// freePort returns the port, or the next that no other listener of the answers has.
func (a Answers) freePort(port string) string {
	for slices.Contains(a.ports, port) {
		n, err := strconv.Atoi(port)
		if err != nil {
			return port
		}
		port = strconv.Itoa(n + 1)
	}
	return port
}

// InPlaceOfCollector reports whether IT's collector is a command on this machine that prints.
func InPlaceOfCollector(a Answers) bool { return a.SyslogTo == defaultCollector }

// Listener is where a role will listen on this machine.
type Listener struct{ Flag, Answer, Network, Address string }

// Sources are the servers and brokers of the plant on this machine, when both roles are for it.
func (a Answers) Sources() (all []Listener) {
	if !a.OneMachine() {
		return nil
	}
	for _, s := range a.Each() {
		for _, one := range []struct{ flag, url, port string }{{"opcua", s.OPCUA, "4840"}, {"mqtt", s.MQTT, "1883"}} {
			if isLoopback(hostOf(one.url)) {
				all = append(all, Listener{one.flag, one.url, "tcp",
					net.JoinHostPort(hostOf(one.url), portOf(one.url, one.port))})
			}
		}
	}
	return all
}

// Listeners are those of both roles, in the order of the questions.
func (a Answers) Listeners() (all []Listener) {
	add := func(flag, answer, one, port string) {
		scheme, address, found := strings.Cut(one, "://")
		if !found {
			scheme, address = "tcp", one
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			address = net.JoinHostPort(strings.Trim(address, "[]"), port)
		}
		network := "tcp"
		if scheme == "udp" {
			network = "udp"
		}
		all = append(all, Listener{flag, answer, network, address})
	}
	add("address", a.Address, "udp://"+a.Address, "")
	for _, s := range a.Each() {
		for _, l := range list(s.Syslog) {
			add("syslog", s.Syslog, l, "514")
		}
		if s.OPCUA != "" {
			add("opcua-listen", s.OPCUAListen, s.OPCUAListen, "4840")
		}
		if s.MQTT != "" && s.MQTTTo == "" {
			add("mqtt-listen", s.MQTTListen, s.MQTTListen, "1883")
		}
	}
	if a.TXStatus != "" {
		add("tx-status", a.TXStatus, a.TXStatus, "")
	}
	if a.RXStatus != "" {
		add("rx-status", a.RXStatus, a.RXStatus, "")
	}
	return all
}
