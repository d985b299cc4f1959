package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const head = "pair = \"p\"\n[link]\nmedium = \"udp\"\naddress = \"127.0.0.1:1\"\nkey_file = \"pair.key\"\n"

// ethernetHead is head on an interface, with more lines below [link].
func ethernetHead(iface, more string) string {
	return "pair = \"p\"\n[link]\nmedium = \"ethernet\"\ninterface = \"" + iface + "\"\n" + more +
		"key_file = \"pair.key\"\n"
}

const oneSyslog = "[[syslog]]\nchannel = \"s\"\nlisten = [\"udp://:514\"]\n"

const oneBroker = "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\n"

const oneForward = "[[syslog]]\nchannel = \"s\"\nforward = \"udp://siem:514\"\n"

func TestTXValues(t *testing.T) {
	dir := folder(t)
	got, _, err := ParseTX(strings.NewReader(ReferenceTX()), dir)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	files := TLS{CAFile: in("ca.pem"), Certificate: in("own.pem"), PrivateKey: in("own.key")}
	want := TX{
		Pair:   "press-hall",
		Link:   Link{Medium: UDP, Address: "127.0.0.1:17000", Rate: 100e6, Overhead: 0.25, KeyFile: in("pair.key")},
		State:  in("state-tx"),
		Memory: Memory{State: 80 << 20, ChannelState: 64 << 20},
		Replay: Replay{Memory: 64 << 20},
		PKI:    in("pki-tx"),
		Time:   []string{"10.0.0.1:123"},
		Status: Status{Listen: "127.0.0.1:9464", UpdateListen: "127.0.0.1:9466", Hosts: []string{}},
		OPCUA: []OPCUASource{{Channel: "press-line", Endpoint: "opc.tcp://10.0.0.5:4840",
			SecurityPolicy: "Basic256Sha256",
			SecurityMode:   "SignAndEncrypt", Username: "ot", Password: []byte("s3cret"),
			PublishingInterval: 100 * time.Millisecond,
			Rebrowse:           10 * time.Minute, AddressSpace: 44 << 20, Include: []string{"/Objects/Plant/**"},
			Exclude: []string{"/Objects/Plant/Recipe/**", "ns=2;s=Secret"}}},
		MQTT: []MQTTSource{
			{Channel: "cell-1", Broker: "mqtt://10.0.0.6:1883", Version: MQTTAuto, Topics: []string{"#"},
				Username: "ot",
				Password: []byte("s3cret"), ClientID: "heliotx-cell-1"},
			{Channel: "cell-2", Bulk: true, Broker: "mqtts://10.0.0.7:8883", Version: MQTTAuto, Topics: []string{"#"},
				ClientID: "heliotx-press-hall-cell-2", TLS: files},
		},
		Syslog: []SyslogSource{{Channel: "syslog",
			Listen: []string{"udp://0.0.0.0:514", "tcp://0.0.0.0:601", "tls://0.0.0.0:6514"}, TLS: files}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRXValues(t *testing.T) {
	dir := folder(t)
	got, _, err := ParseRX(strings.NewReader(ReferenceRX()), dir)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	files := TLS{CAFile: in("ca.pem"), Certificate: in("own.pem"), PrivateKey: in("own.key")}
	want := RX{
		Pair:       "press-hall",
		StaleAfter: 3 * time.Second,
		Link:       Link{Medium: UDP, Address: "127.0.0.1:17000", Rate: 100e6, Overhead: 0.25, KeyFile: in("pair.key")},
		State:      in("state-rx"),
		Memory:     Memory{State: 80 << 20, ChannelState: 64 << 20},
		PKI:        in("pki-rx"),
		Time:       []string{},
		Status:     Status{Listen: "127.0.0.1:9465", UpdateListen: "127.0.0.1:9467", Hosts: []string{}},
		Audit:      SyslogSink{Channel: "heliograph", Forward: "tcp://siem:601", SpoolBytes: 1 << 20},
		Announce: Announce{MQTTPrefix: "heliograph/",
			Syslog: SyslogSink{Channel: "heliograph trust", Forward: "tcp://siem:601", SpoolBytes: 1 << 20},
			OPCUA: OPCUASink{Channel: "heliograph", Listen: "opc.tcp://0.0.0.0:4841", Security: defaultSecurity(),
				UsersFile: in("users")}},
		OPCUA: []OPCUASink{{Channel: "press-line", Listen: "opc.tcp://0.0.0.0:4840", Security: defaultSecurity(),
			UsersFile: in("users"), History: History{Age: 30 * day, Bytes: 2 << 30}}},
		MQTT: []MQTTSink{
			{Channel: "cell-1", Broker: "mqtts://it-broker:8883", Version: MQTTAuto, TopicPrefix: "plant/press-hall/",
				Late: LateSeparate, LatePrefix: "late/", Username: "gateway",
				Password: []byte("s3cret"), ClientID: "heliorx-cell-1", TLS: files, SpoolBytes: 64 << 20},
			{Channel: "cell-2", Listen: "mqtt://0.0.0.0:1883", Version: MQTTAuto, UsersFile: in("users"),
				Late: LateSeparate, LatePrefix: "late/", SpoolBytes: 64 << 20},
		},
		Syslog: []SyslogSink{{Channel: "syslog", Forward: "tls://siem:6514", TLS: files, SpoolBytes: 64 << 20}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The packages of a host have the state where the service may write.
func TestStateOfAHost(t *testing.T) {
	for _, c := range []struct{ file, dir, raw, want string }{
		{"/etc/heliograph/heliotx.toml", "/etc/heliograph", "", "/var/lib/heliograph/heliotx"},
		{"/etc/heliograph/heliotx.toml", "/etc/heliograph", "/srv/state", "/srv/state"},
		{"/etc/heliograph/heliotx.toml", "/etc/heliograph", "state", "/etc/heliograph/state"},
		{"/etc/heliograph/hall/tx.toml", "/etc/heliograph/hall", "", "/etc/heliograph/hall/state"},
		{"tx.toml", ".", "", "state"},
	} {
		r := &report{file: c.file, dir: c.dir}
		if got := r.state(c.raw); got != c.want {
			t.Errorf("%s, %q: got %s, want %s", c.file, c.raw, got, c.want)
		}
	}
}

func TestDefaultsAndMedia(t *testing.T) {
	dir := folder(t)
	text := "pair = \"p\"\n[link]\nmedium = \"uart\"\ndevice = \"/dev/ttyS0\"\nkey_file = " +
		"\"pair.key\"\n[[mqtt]]\nchannel=\"c\"\nbroker=\"mqtts://b\"\n"
	got, _, err := ParseTX(strings.NewReader(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Link.Baud != 921600 || got.Link.Overhead != 0.25 || got.Link.Rate != 0 {
		t.Errorf("got link %+v, want 921600 baud, 0.25, no rate", got.Link)
	}
	if got.State != filepath.Join(dir, "state") || got.PKI != filepath.Join(dir, "state", "pki") ||
		got.Status.Listen != "" {
		t.Errorf("got state %q, pki %q, status %q", got.State, got.PKI, got.Status.Listen)
	}
	if m := got.MQTT[0]; m.Broker != "mqtts://b:8883" || !slices.Equal(m.Topics, []string{"#"}) ||
		m.ClientID != "heliotx-p-c" {
		t.Errorf("got %+v", m)
	}
	text = strings.Replace(text, "medium = \"uart\"\ndevice = \"/dev/ttyS0\"",
		"medium = \"ethernet\"\ninterface = \"eth1\"", 1)
	if got, _, err = ParseTX(strings.NewReader(text), dir); err != nil || got.Link.Interface != "eth1" ||
		got.Link.Rate != 100e6 || got.Link.Speed != 0 {
		t.Errorf("got %+v, %v", got.Link, err)
	}
	text = strings.Replace(text, "\"eth1\"", "\"mac:02:00:5e:10:00:01\"\nspeed = \"100\"", 1)
	if got, _, err = ParseTX(strings.NewReader(text), dir); err != nil ||
		got.Link.Interface != "mac:02:00:5e:10:00:01" || got.Link.Speed != 100 {
		t.Errorf("got %+v, %v", got.Link, err)
	}
	text = strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) + "interface = \"eth1\"\nlocal = \"10.9.0.1/30\"\n"
	if got, _, err = ParseTX(strings.NewReader(text+oneSyslog), dir); err != nil || got.Link.Interface != "eth1" ||
		got.Link.Local.String() != "10.9.0.1/30" {
		t.Errorf("got %+v, %v", got.Link, err)
	}
	text = strings.Replace(head, "127.0.0.1", "10.0.0.3", 1) + "peer_mac = \"02-00-5E-10-00-02\"\n" + oneSyslog
	if got, _, err = ParseTX(strings.NewReader(text), dir); err != nil || got.Link.PeerMAC != "02:00:5e:10:00:02" {
		t.Errorf("got %+v, %v", got.Link, err)
	}
}

func TestFaults(t *testing.T) {
	dir := folder(t)
	if err := os.WriteFile(filepath.Join(dir, "bad.key"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mqtt := "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\n" // lines 6 to 8
	ua := "[[opcua]]\nchannel = \"o\"\nendpoint = \"opc.tcp://b\"\n"
	cases := map[string]struct {
		text string
		want string // LINE: the beginning of the message, one line each
	}{
		"broken TOML": {"pair = \"p\"\n[link\n", "2: not valid TOML"},
		"a key twice": {"pair = \"p\"\npair = \"q\"\n", "2: not valid TOML"},
		"unknown key": {head + oneSyslog + "lsten = 1\n",
			"9: unknown key \"lsten\" in syslog; did you mean \"listen\"?"},
		"unknown table": {head + oneSyslog + "[[kafka]]\na = 1\n",
			"9: unknown key \"kafka\" at the top of the file"},
		"top key in table": {head + "stale_after = \"3s\"\n" + oneSyslog, "6: unknown key \"stale_after\" in link"},
		"tolerance":        {head + ua + "tolerate = [\"all\"]\n", "9: tolerate"},
		"key of RX": {"stale_after = \"3s\"\n" + head + oneSyslog,
			"1: the key \"stale_after\" belongs in the other board's file"},
		"wrong type":     {head + "rate = 100\n" + oneSyslog, "6: rate must be a string, not a whole number"},
		"table as value": {"link = 1\npair = \"p\"\n" + oneSyslog, "1: link must be a table"},
		"one bracket": {head + "[syslog]\nchannel = \"s\"\n",
			"1: there is no channel\n6: syslog is a list of tables: write [[syslog]]"},
		"string for a list": {head + "[[syslog]]\nchannel = \"s\"\nlisten = \"udp://:514\"\n",
			"8: listen must be a list"},
		"number in a list": {head + "[[syslog]]\nchannel = \"s\"\nlisten = [514]\n",
			"8: listen must not hold a whole number"},
		"several at once": {"pair = \"a b\"\n[link]\nmedium = \"udp\"\nbaud = 9600\nrate = \"fast\"\nkey_file = " +
			"\"none\"\n",
			"1: pair \"a b\": start with\n1: there is no channel\n2: address is missing\n4: baud is not allowed " +
				"with medium udp\n5: rate: write a rate\n6: key_file: file not found"},
		"bad key file": {strings.Replace(head, "pair.key", "bad.key", 1) + oneSyslog,
			"5: key_file: " + filepath.Join(dir, "bad.key") + " is not a pair key"},
		"no medium": {strings.Replace(head, "medium = \"udp\"\n", "", 1) + oneSyslog,
			"2: medium is missing"},
		"odd medium": {strings.Replace(head, "udp", "wifi", 1) + oneSyslog,
			"3: medium \"wifi\" must be one of"},
		"baud range": {strings.Replace(head, "medium = \"udp\"\naddress = \"127.0.0.1:1\"",
			"medium = \"uart\"\ndevice=\"tty\"\nbaud = 300", 1) + oneSyslog, "4: device \"tty\"\n5: baud 300"},
		"interface of no kind": {ethernetHead("tap/0", "") + oneSyslog,
			"4: interface \"tap/0\" is not the name of a network interface"},
		"no interface": {strings.Replace(ethernetHead("", ""), "interface = \"\"\n", "", 1) + oneSyslog,
			"2: interface is missing"},
		"interface of a group": {ethernetHead("mac:01:00:5e:00:00:01", "") + oneSyslog,
			"4: interface \"01:00:5e:00:00:01\" is not the MAC"},
		"interface by no path": {ethernetHead("path:/sys/class/net/eth1", "") + oneSyslog, "4: interface \"path:/sys"},
		"speed that is not one": {ethernetHead("eth1", "speed = \"99\"\n") + oneSyslog,
			"5: speed \"99\" must be one of 10, 100, 1000"},
		"speed as a number": {ethernetHead("eth1", "speed = 100\n") + oneSyslog, "5: speed must be a string"},
		"peer of Ethernet": {ethernetHead("eth1", "peer_mac = \"02:00:00:00:00:01\"\n") + oneSyslog,
			"5: peer_mac is not allowed with medium ethernet"},
		"speed of UDP": {head + "speed = \"100\"\n" + oneSyslog, "6: speed is not allowed with medium udp"},
		"peer of a group": {head + "peer_mac = \"ff:ff:ff:ff:ff:ff\"\n" + oneSyslog,
			"6: peer_mac \"ff:ff:ff:ff:ff:ff\" is not the MAC"},
		"interface of UDP without an address": {strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) +
			"interface = \"eth1\"\n" + oneSyslog, "2: local is missing"},
		"address of no interface": {strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) + "local = \"10.9.0.1/30\"\n" +
			oneSyslog, "2: interface is missing"},
		"local of another network": {strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) +
			"interface = \"eth1\"\nlocal = \"10.8.0.1/30\"\n" + oneSyslog,
			"7: local 10.8.0.1/30: address must be another"},
		"local without a length": {strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) +
			"interface = \"eth1\"\nlocal = \"10.9.0.1\"\n" + oneSyslog, "7: local \"10.9.0.1\" is not an IPv4"},
		"local that is the receiver": {strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) +
			"interface = \"eth1\"\nlocal = \"10.9.0.2/30\"\n" + oneSyslog,
			"7: local 10.9.0.2/30: address must be another"},
		"local of Ethernet": {ethernetHead("eth1", "local = \"10.9.0.1/30\"\n") + oneSyslog,
			"5: local is not allowed with medium ethernet"},
		"peer that is this machine": {head + "peer_mac = \"02:00:00:00:00:01\"\n" + oneSyslog,
			"6: peer_mac needs an address in numbers, of another machine"},
		"peer by a host's name": {strings.Replace(head, "127.0.0.1", "rx.example", 1) +
			"peer_mac = \"02:00:00:00:00:01\"\n" + oneSyslog, "6: peer_mac needs an address in numbers"},
		"state that is a file": {head + oneSyslog + "[state]\ndirectory = \"pair.key\"\n",
			"10: directory: @/pair.key is not a folder: remove it, or set directory in [state] to a folder"},
		"state below a file": {head + oneSyslog + "[state]\ndirectory = \"pair.key/state\"\n",
			"10: directory: @/pair.key is not a folder"},
		"certificates in a file": {head + oneSyslog + "[pki]\ndirectory = \"pair.key\"\n",
			"10: directory: @/pair.key is not a folder: remove it, or set directory in [pki] to a folder"},
		"channel twice": {head + oneSyslog + "[[mqtt]]\nchannel = \"s\"\nbroker = \"mqtt://b\"\n",
			"7: channel \"s\" is already defined on line 10"},
		"reserved channel": {head + strings.Replace(oneSyslog, "\"s\"", "\"heliograph\"", 1),
			"7: channel \"heliograph\" is reserved"},
		"channel numbers": {head + strings.Replace(oneSyslog, "\"s\"", "\"c32\"", 1) +
			strings.Replace(oneSyslog, "\"s\"\nlisten = [\"udp://:514", "\"c316\"\nlisten = [\"udp://:515", 1),
			"10: channels \"c316\" and \"c32\" have the same number"},
		"same listener": {head + oneSyslog + strings.Replace(oneSyslog, "\"s\"", "\"t\"", 1),
			"11: udp :514 is already used on line 8"},
		"bad port": {head + strings.Replace(oneSyslog, "514", "99999", 1), "8: listen"},
		"bad scheme": {head + strings.Replace(oneSyslog, "udp:", "http:", 1),
			"8: listen \"http://:514\": the address must begin with one of tcp://, tls://, udp://"},
		"bad broker": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"10.0.0.1\"\n",
			"8: broker \"10.0.0.1\" is not an address"},
		"no broker": {head + "[[mqtt]]\nchannel = \"m\"\n", "6: broker is missing"},
		"update_listen alone": {head + "[status]\nupdate_listen = \"127.0.0.1:1\"\n" + mqtt,
			"7: update_listen is not allowed with a status server that is off"},
		"status listened on twice": {head + "[status]\nlisten = \"127.0.0.1:9464\"\nupdate_listen = " +
			"\"https://127.0.0.1:9464\"\n" + mqtt, "8: tcp 127.0.0.1:9464 is already used on line 7"},
		"status host with a port": {head + "[status]\nlisten = \"127.0.0.1:9464\"\nhosts = [\"a.example:9464\"]\n" +
			mqtt, "8: hosts: \"a.example:9464\" is not a name"},
		"status certificate, no TLS": {head + "[status]\nlisten = \"127.0.0.1:9464\"\ncertificate = " +
			"\"own.pem\"\nprivate_key = \"own.key\"\n" + mqtt,
			"8: certificate is not allowed with this listen\n9: private_key is not allowed with"},
		"status certificate, no key": {head + "[status]\nlisten = \"https://127.0.0.1:9464\"\ncertificate = " +
			"\"own.pem\"\n" + mqtt, "8: certificate needs its private_key"},
		"status users file missing": {head + "[status]\nlisten = \"127.0.0.1:9464\"\nusers_file = \"missing\"\n" + mqtt,
			"8: users_file: file not found"},
		"audit forwarded by a TX": {head + "[audit]\nforward = \"tcp://siem:601\"\n" + mqtt,
			"6: the key \"audit\" belongs in the other board's file"},
		"CA without TLS": {head + mqtt + "ca_file = \"ca.pem\"\n",
			"9: ca_file is not allowed with an mqtt:// address"},
		"version": {head + mqtt + "version = \"4\"\n",
			"9: version \"4\" must be one of auto, 5, 3.1.1"},
		"topic filter": {head + mqtt + "topics = [\"a/#/b\", \"a+/b\", \"$share/x/y\"]\n",
			"9: topic filter\n9: topic filter\n9: topic filter"},
		"empty topics": {head + mqtt + "topics = []\n", "9: topics is empty"},
		"class": {head + mqtt + "class = \"fast\"\n",
			"9: class \"fast\" must be one of live, bulk"},
		"lonely password": {head + mqtt + "password_file = \"ot.password\"\n",
			"9: password_file needs a username"},
		"no password file": {head + mqtt + "username = \"u\"\npassword_file = \"gone\"\n",
			"10: password_file: file not found"},
		"TLS key missing": {head + strings.Replace(mqtt, "mqtt:", "mqtts:", 1) +
			"certificate = \"own.pem\"\n", "9: certificate needs its private_key"},
		"TLS key of others": {head + strings.Replace(mqtt, "mqtt:", "mqtts:", 1) +
			"certificate = \"own.pem\"\nprivate_key = \"ca.pem\"\n", "9: certificate and private_key:"},
		"CA is none": {head + strings.Replace(mqtt, "mqtt:", "mqtts:", 1) + "ca_file = \"own.key\"\n",
			"9: ca_file: "},
		"mode and policy": {head + ua + "security_policy = \"None\"\nsecurity_mode = \"Sign\"\n",
			"10: security_mode \"Sign\" is not allowed with"},
		"policy": {head + ua + "security_policy = \"Basic128\"\n",
			"9: security_policy \"Basic128\" must be one of"},
		"user, no password": {head + ua + "username = \"u\"\n", "9: username needs a password"},
		"user, two ways": {head + ua +
			"username = " +
			"\"u\"\npassword_file=\"ot.password\"\nuser_certificate=\"user.der\"\nuser_private_key=\"user.key\"\n",
			"9: username and user_certificate exclude"},
		"swapped files": {head + ua + "user_certificate=\"user.key\"\nuser_private_key=\"user.der\"\n",
			"9: user_certificate: \n10: user_private_key:"},
		"too frequent": {head + ua + "publishing_interval = \"1ms\"\nrebrowse = \"soon\"\n",
			"9: publishing_interval: the time\n10: rebrowse: write a time"},
		"glob": {head + ua + "include = [\"Plant\"]\n", "9: include: \"Plant\": it is neither"},
		"patterns that a server could not have": {head + ua + `include = ["/Objects/[a", "/ok/**", "nsu=urn:x;s=1"]
exclude = ["ns=x;s=A", "ns=2", "ns=2;i=abc", "ns=70000;i=1", "i=99999999999", "ns=2;g=xx", "i=85"]
`, `9: include: "/Objects/[a": "[a" is not
9: include: "nsu=urn:x;s=1": it is neither
10: exclude: "ns=x;s=A": it is neither
10: exclude: "ns=2": it
10: exclude: "ns=2;i=abc": it
10: exclude: "ns=70000;i=1": it
10: exclude: "i=99999999999": it
10: exclude: "ns=2;g=xx": it`},
		"too many names in patterns": {head + ua + "exclude = [\"" + strings.Repeat("/a", 2000) + "\", \"" +
			strings.Repeat("/b", 2000) + "\", \"" + strings.Repeat("/c", 97) + "\"]\n",
			"9: the browse paths of include and exclude have 4097 names"},
		"inline table": {"pair = \"p\"\nlink = {medium = \"udp\", address = \"h:1\", key_file = " +
			"\"pair.key\", x = 1}\n" + oneSyslog, "2: unknown key \"x\" in link"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseTX(strings.NewReader(c.text), dir)
			compareFaults(t, err, strings.ReplaceAll(c.want, "@/", dir+"/"))
		})
	}
}

func TestFaultsOfRX(t *testing.T) {
	dir := folder(t)
	cases := map[string]struct{ text, want string }{
		"local that is not the address": {strings.Replace(head, "127.0.0.1", "10.9.0.2", 1) +
			"interface = \"eth1\"\nlocal = \"10.9.0.1/30\"\n" + oneForward, "7: local 10.9.0.1/30: address must have"},
		"peer of a receiver": {strings.Replace(head, "127.0.0.1", "10.0.0.3", 1) +
			"peer_mac = \"02:00:00:00:00:01\"\n" + oneForward, "6: peer_mac belongs in the transmitter's file"},
		"no broker": {head + "[[mqtt]]\nchannel = \"m\"\n", "6: broker is missing"},
		"both ways": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\nlisten = \"mqtt://:1883\"\n",
			"9: listen and broker exclude"},
		"users of a peer": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\nusers_file = \"users\"\n",
			"9: users_file is not allowed with broker"},
		"login of our own": {head + "[[mqtt]]\nchannel = \"m\"\nlisten = \"mqtt://:1883\"\nusername = \"u\"\n",
			"9: username is not allowed with listen"},
		"users file": {head + "[[mqtt]]\nchannel = \"m\"\nlisten = \"mqtt://:1883\"\nusers_file = \"own.key\"\n",
			"9: users_file: users: " + dir + "/own.key:1: "},
		"own topics, not a level": {head + "[announce]\nmqtt_prefix = \"own\"\n" + oneBroker,
			"7: mqtt_prefix \"own\" must end with"},
		"own topics, empty": {head + "[announce]\nmqtt_prefix = \"\"\n" + oneBroker, "7: mqtt_prefix is empty"},
		"own topics, wild":  {head + "[announce]\nmqtt_prefix = \"#/\"\n" + oneBroker, "7: mqtt_prefix \"#/\" must"},
		"own topics, nowhere": {head + "[announce]\nmqtt_prefix = \"own/\"\n" + oneForward,
			"7: mqtt_prefix has no effect without a broker"},
		"own lines, no address": {head + "[announce]\nspool = \"1MiB\"\n" + oneForward,
			"7: spool is not allowed with no forward"},
		"own nodes, no address": {head + "[announce]\nanonymous = true\n" + oneForward,
			"7: anonymous is not allowed with no listen"},
		"own nodes, a port in use": {head + "[announce]\nlisten = \"opc.tcp://:4840\"\n[[opcua]]\nchannel = \"o\"\n" +
			"listen = \"opc.tcp://:4840\"\n", "7: tcp :4840 is already used on line 10"},
		"own lines, TLS": {head + "[announce]\nforward = \"tcp://siem\"\nca_file = \"ca.pem\"\n" + oneForward,
			"8: ca_file is not allowed with this address"},
		"prefix": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\ntopic_prefix = \"a/#\"\n",
			"9: topic_prefix"},
		"late": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\nlate = \"never\"\n",
			"9: late \"never\" must be one of separate, same, drop"},
		"late prefix": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\nlate_prefix = \"+/\"\n",
			"9: late_prefix"},
		"no late prefix": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\nlate_prefix = \"\"\n",
			"9: late_prefix is empty"},
		"late prefix of none": {head + "[[mqtt]]\nchannel = \"m\"\nbroker = \"mqtt://b\"\nlate_prefix = \"l/\"\n" +
			"late = \"same\"\n",
			"9: late_prefix is not allowed with late = \"same\""},
		"spool":       {head + oneForward + "spool = \"10\"\n", "9: spool: write a size"},
		"small spool": {head + oneForward + "spool = \"10kB\"\n", "9: spool: the size"},
		"no forward":  {head + "[[syslog]]\nchannel = \"m\"\n", "6: forward is missing"},
		"key of TX": {head + oneForward + "class = \"bulk\"\n",
			"9: the key \"class\" belongs in the other board's file"},
		"stale": {"stale_after = \"1ms\"\n" + head + oneForward, "1: stale_after: the time"},
		"security": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\nsecurity = " +
			"[\"Basic256Sha256\"]\n", "9: security \"Basic256Sha256\": write a policy"},
		"expired clients": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\ntolerate_expired = " +
			"[\"AB:CD\"]\n", "9: \"AB:CD\" is not a thumbprint"},
		"history age": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\nhistory = \"4000d\"\n",
			"9: history: the time \"4000d\" must be from 1m0s to 3650d"},
		"history without a unit": {head +
			"[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\nhistory = \"30\"\n",
			"9: history: write a time as"},
		"history size": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\nhistory = \"1d\"\n" +
			"history_size = \"1kB\"\n", "10: history_size: the size \"1kB\" must be from 1MiB to 1024GiB"},
		"history size alone": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\n" +
			"history_size = \"1GiB\"\n", "9: history_size needs history"},
		"history empty": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\nhistory = \"\"\n",
			"9: history is empty"},
		"security empty": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\nsecurity = []\n",
			"9: security is empty"},
		"ports": {head + "[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\n[[mqtt]]\nchannel = " +
			"\"m\"\nlisten = \"mqtt://:4840\"\nusers_file = \"users\"\n",
			"11: tcp :4840 is already used on line 8"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := ParseRX(strings.NewReader(c.text), dir)
			compareFaults(t, err, c.want)
		})
	}
}

func compareFaults(t *testing.T, err error, want string) {
	t.Helper()
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("got %v, want Faults", err)
	}
	wanted := strings.Split(want, "\n")
	for i, fault := range faults {
		got := fmt.Sprintf("%d: %s", fault.Line, fault.Message)
		if i >= len(wanted) || !strings.HasPrefix(got, wanted[i]) {
			t.Fatalf("got\n%v\nwant\n%s", err, want)
		}
	}
	if len(faults) != len(wanted) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestWarnings(t *testing.T) {
	dir := folder(t)
	if err := os.Chmod(filepath.Join(dir, "pair.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	text := head + "[[opcua]]\nchannel = \"o\"\nanonymous = true\nlisten = \"opc.tcp://:4840\"\nsecurity = " +
		"[\"None\"]\n[[mqtt]]\nchannel = \"m\"\nlisten = \"mqtt://:1883\"\n"
	_, warnings, err := ParseRX(strings.NewReader(text), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"configuration:5: warning: every user of this machine can read " + dir +
		"/pair.key: run \"chmod 600 ",
		"configuration:10: warning: \"None\" lets",
		"configuration:13: warning: any client that reaches the embedded broker"}
	for i, w := range warnings {
		if i >= len(want) || !strings.HasPrefix(w.String(), want[i]) {
			t.Errorf("got %v, want %v", warnings, want)
		}
	}
	if len(warnings) != len(want) {
		t.Errorf("got %v, want %v", warnings, want)
	}
}

func TestStatusPort(t *testing.T) {
	dir := folder(t)
	for name, tt := range map[string]struct {
		keys string
		want Status
		warn string
	}{
		"plain": {"listen = \"127.0.0.1:9464\"", Status{Listen: "127.0.0.1:9464"}, ""},
		"http":  {"listen = \"http://127.0.0.1:9464\"", Status{Listen: "127.0.0.1:9464"}, ""},
		"TLS, made here": {"listen = \"https://0.0.0.0:9464\"\nusers_file = \"users\"",
			Status{Listen: "0.0.0.0:9464", Secure: true, UsersFile: filepath.Join(dir, "users")}, ""},
		"users on loopback": {"listen = \"127.0.0.1:9464\"\nusers_file = \"users\"",
			Status{Listen: "127.0.0.1:9464", UsersFile: filepath.Join(dir, "users")}, ""},
		"users in the clear": {"listen = \"0.0.0.0:9464\"\nusers_file = \"users\"",
			Status{Listen: "0.0.0.0:9464", UsersFile: filepath.Join(dir, "users")},
			"passwords cross the network unencrypted"},
		"updates apart, with a certificate": {"listen = \"127.0.0.1:9464\"\nupdate_listen = " +
			"\"https://0.0.0.0:9465/\"\nhosts = [\"a.example\"]\ncertificate = \"own.pem\"\nprivate_key = \"own.key\"",
			Status{Listen: "127.0.0.1:9464", UpdateListen: "0.0.0.0:9465", UpdateSecure: true,
				Hosts: []string{"a.example"}, TLS: TLS{Certificate: filepath.Join(dir, "own.pem"),
					PrivateKey: filepath.Join(dir, "own.key")}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings, err := ParseTX(strings.NewReader(head+oneSyslog+"[status]\n"+tt.keys+"\n"), dir)
			if err != nil || !reflect.DeepEqual(got.Status, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got.Status, err, tt.want)
			}
			if warned := len(warnings) > 0; warned != (tt.warn != "") || warned &&
				!strings.Contains(warnings[0].String(), tt.warn) {
				t.Errorf("got %v, want a warning of %q", warnings, tt.warn)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	for name, tt := range map[string]struct {
		keys string
		want Replay
	}{
		"by default": {"", Replay{Memory: 64 << 20}},
		"off":        {"[replay]\nmemory = \"0\"\n", Replay{}},
		"larger":     {"[replay]\nmemory = \"1GiB\"\n", Replay{Memory: 1 << 30}},
		"on a disk":  {"[replay]\ndisk = \"4GiB\"\n", Replay{Memory: 64 << 20, Disk: 4 << 30}},
		"no disk":    {"[replay]\ndisk = \"0\"\n", Replay{Memory: 64 << 20}},
	} {
		got, _, err := ParseTX(strings.NewReader(head+oneSyslog+tt.keys), folder(t))
		if err != nil || got.Replay != tt.want {
			t.Errorf("%s: got %+v, %v; want %+v", name, got.Replay, err, tt.want)
		}
	}
	for _, bad := range []string{"memory = \"1kB\"", "disk = \"63MiB\"", "memory = \"0\"\ndisk = \"4GiB\""} {
		_, _, err := ParseTX(strings.NewReader(head+oneSyslog+"[replay]\n"+bad+"\n"), folder(t))
		if err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(folder(t), "tx.toml")
	if err := os.WriteFile(path, []byte(head+oneSyslog+"x = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadTX(path); err == nil || !strings.HasPrefix(err.Error(), path+":9: unknown key \"x\"") {
		t.Errorf("got %v, want %s:9: …", err, path)
	}
	if _, _, err := LoadTX(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

func TestCheckingHasNoSideEffects(t *testing.T) {
	dir := folder(t)
	before := listing(t, dir)
	if _, _, err := ParseRX(strings.NewReader(ReferenceRX()), dir); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ParseTX(strings.NewReader(ReferenceTX()), dir); err != nil {
		t.Fatal(err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("the folder changed:\n%s\nbefore:\n%s", after, before)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			fmt.Fprintln(&b, path, info.Mode(), info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHugeFile(t *testing.T) {
	if _, _, err := ParseTX(strings.NewReader(strings.Repeat("#\n", maxFile)), "."); err == nil ||
		!strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

// Any text gives a configuration that holds what the types promise, or faults
// that name lines of the text, in order.
func FuzzParse(f *testing.F) {
	dir := folder(f)
	for _, text := range []string{ReferenceTX(), ReferenceRX(), MinimalTX(), head + oneSyslog,
		"[a.b]\n[[a.c]]\nd.e=1\n", "mqtt=[{}]\n[link]\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tx, _, err := ParseTX(strings.NewReader(text), dir)
		checkOutcome(t, text, err, len(tx.OPCUA)+len(tx.MQTT)+len(tx.Syslog), tx.Link)
		rx, _, err := ParseRX(strings.NewReader(text), dir)
		checkOutcome(t, text, err, len(rx.OPCUA)+len(rx.MQTT)+len(rx.Syslog), rx.Link)
	})
}

func checkOutcome(t *testing.T, text string, err error, channels int, link Link) {
	t.Helper()
	if err == nil {
		if channels == 0 || link.KeyFile == "" || (link.Medium == UART) != (link.Rate == 0) {
			t.Errorf("accepted %+v with %d channels", link, channels)
		}
		return
	}
	last := 1
	for _, fault := range err.(Faults) {
		if fault.Line < last || fault.Line > 2+strings.Count(text, "\n") || fault.Message == "" ||
			strings.Contains(fault.Message, "\n") {
			t.Errorf("fault %q after line %d", fault.Error(), last)
		}
		last = fault.Line
	}
}

func TestToleranceOfCertificates(t *testing.T) {
	dir := folder(t)
	tx, warnings, err := ParseTX(strings.NewReader(head+
		"[[opcua]]\nchannel = \"o\"\nendpoint = \"opc.tcp://b\"\ntolerate = [\"dates\"]\n"), dir)
	if err != nil || len(tx.OPCUA) != 1 || !tx.OPCUA[0].TolerateDates || tx.OPCUA[0].TolerateHostName ||
		len(warnings) != 1 || !strings.Contains(warnings[0].String(), "without a check of its dates") {
		t.Errorf("TX: got %+v, %v, %v; want dates tolerated and a warning", tx.OPCUA, warnings, err)
	}
	thumbprint := strings.Repeat("0a:", 19) + "ff"
	rx, warnings, err := ParseRX(strings.NewReader(head+
		"[[opcua]]\nchannel = \"o\"\nanonymous = true\nlisten = \"opc.tcp://:4840\"\ntolerate_expired = [\""+
		thumbprint+"\"]\n"), dir)
	want := strings.Repeat("0A", 19) + "FF"
	if err != nil || len(rx.OPCUA) != 1 || len(rx.OPCUA[0].Expired) != 1 || rx.OPCUA[0].Expired[0] != want ||
		len(warnings) != 1 || !strings.Contains(warnings[0].String(), want) {
		t.Errorf("RX: got %+v, %v, %v; want %s and a warning", rx.OPCUA, warnings, err, want)
	}
}

func TestHistoryHasASizeByDefault(t *testing.T) {
	dir := folder(t)
	for name, c := range map[string]struct {
		keys string
		want History
	}{
		"none":        {"", History{}},
		"days":        {"history = \"30d\"\n", History{Age: 30 * day, Bytes: 2 << 30}},
		"days, hours": {"history = \"1d12h\"\n", History{Age: 36 * time.Hour, Bytes: 2 << 30}},
		"with a size": {"history = \"90m\"\nhistory_size = \"64MiB\"\n", History{Age: 90 * time.Minute,
			Bytes: 64 << 20}},
		"the longest":  {"history = \"3650d\"\n", History{Age: 3650 * day, Bytes: 2 << 30}},
		"the shortest": {"history = \"1m\"\n", History{Age: time.Minute, Bytes: 2 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			rx, _, err := ParseRX(strings.NewReader(head+
				"[[opcua]]\nchannel = \"o\"\nlisten = \"opc.tcp://:4840\"\n"+c.keys), dir)
			if err != nil || rx.OPCUA[0].History != c.want {
				t.Errorf("got %+v, %v; want %+v", rx.OPCUA, err, c.want)
			}
		})
	}
}
