package initial

import (
	"cmp"
	"path/filepath"
	"strings"

	"heliograph/boards"
)

// Answers are what the questions ask for, as users write it. A field that was not asked
// for, or whose answer is "none", is empty.
type Answers struct {
	TX, RX, Key string // files

	Pair, Board, Medium      string
	TXDevice, RXDevice, Baud string // uart
	TXInterface, RXInterface string // ethernet
	Carrier                  string // ethernet: what is between the interfaces
	Address, PeerMAC         string // udp
	Rate, Overhead           string
	TXOwn, RXOwn             Outside // boards

	OPCUA, OPCUAChannel, OPCUASecurity string
	OPCUALogin                         Login
	Offered, Tolerate                  []string // what a probe found: securities, and words of tolerate
	MQTT, MQTTChannel, MQTTTopics      string
	MQTTAuthority                      string // file of certificate authorities
	MQTTLogin                          Login
	Syslog, SyslogChannel              string

	OPCUAListen, History                 string
	MQTTTo, MQTTToAuthority, MQTTListen  string
	MQTTToLogin                          Login
	SyslogTo                             string
	UsersFile                            string // of RX, exists already
	Reader                               Login  // the first user of a new users file of RX
	TXStatus, RXStatus, NTP, NTPReceiver string

	More []Answers // about further sources, one each
	Only string    // the kind of the source that is asked for; "": the first of each kind

	taken, ports []string // channels and ports that other sources have
	inherited    string   // users file of RX, of an earlier source
}

// Outside is a board's own interface, to the plant or to IT.
type Outside struct{ Interface, Address, Gateway, Nameservers string }

// Login is a name with a password: in a file that exists, or as it was typed.
type Login struct{ Name, File, Password string }

// host is what Board says of Linux machines that are not boards.
const host = "host"

// board returns the board that the pair is for; the zero value for Linux hosts.
func (a Answers) board() boards.Board {
	b, _ := boards.ByName(a.Board)
	return b
}

func (a Answers) onBoard() bool { return a.Board != host }

// OneMachine reports whether both roles are for one machine: the link does not leave it.
func (a Answers) OneMachine() bool { return a.Medium == udp && isLoopback(hostOf(a.Address)) }

// Packaged reports whether the configuration is where packages of Linux hosts have it: the
// state then has a place of its own.
func packaged(file string) bool { return filepath.Dir(file) == "/etc/heliograph" }

// beside returns how a configuration names another file: relative to its folder.
func beside(file, other string) string {
	if filepath.IsAbs(other) && !filepath.IsAbs(file) {
		return other
	}
	rel, err := filepath.Rel(filepath.Dir(file), other)
	if err != nil {
		return other
	}
	return filepath.ToSlash(rel)
}

// typed reports whether a file has to be made for the password.
func (l Login) typed() bool { return l.Name != "" && l.File == "" }

// passwordFile is the file that a configuration in file names for a login: name is that of
// the file that is made for a typed password.
func (l Login) passwordFile(file, name string) string {
	if l.File != "" {
		return beside(file, l.File)
	}
	return name
}

// list splits an answer at commas and spaces.
func list(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// Users is the users file of RX, "" for none.
func (a Answers) users() string {
	if a.inherited != "" {
		return a.inherited
	}
	if a.UsersFile != "" {
		return beside(a.RX, a.UsersFile)
	}
	if a.Reader.Name != "" {
		return UsersName
	}
	return ""
}

// The files that are made beside a configuration.
const (
	UsersName        = "users" // of heliorx
	passwordSuffix   = ".password"
	opcuaPassword    = "opcua" // and so on, of the first source
	mqttPassword     = "mqtt"
	itPassword       = "it-mqtt"
	defaultPair      = "press-hall"
	defaultLink      = "127.0.0.1:17000"
	defaultCollector = "tcp://127.0.0.1:5601"
)

// security divides "POLICY/MODE".
func (a Answers) security() (policy, mode string) {
	policy, mode, _ = strings.Cut(a.OPCUASecurity, "/")
	return policy, cmp.Or(mode, "None")
}
