// Package config reads and checks the configuration of a role: TOML 1.0, with
// the keys that reference-tx.toml and reference-rx.toml document.
//
// Checking has no side effects: it creates no folder, binds no port and resolves no
// name. It reports every fault with its line, not only the first. The package refuses
// unknown keys, keys that have no effect with the chosen medium or address, and secrets
// in the file itself: those are in files of their own, which are read here.
package config

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// TX is a validated configuration of the plant side. Paths are resolved against the
// folder of the file.
type TX struct {
	Pair      string
	Link      Link
	State     string // directory
	Memory    Memory
	Replay    Replay
	PKI       string   // directory
	Time      []string // NTP servers
	Status    Status
	Telemetry Telemetry
	OPCUA     []OPCUASource
	MQTT      []MQTTSource
	Syslog    []SyslogSource
}

// RX is a validated configuration of the IT side.
type RX struct {
	Pair       string
	StaleAfter time.Duration // link silence before values turn Uncertain
	Link       Link
	State      string
	Memory     Memory
	PKI        string
	Time       []string
	Status     Status
	Telemetry  Telemetry
	Audit      SyslogSink // where the audit trail is forwarded to; nowhere if Forward is empty
	Announce   Announce
	OPCUA      []OPCUASink
	MQTT       []MQTTSink
	Syslog     []SyslogSink
}

// Announce is how the gateway publishes its own state on IT's side, beside its page.
type Announce struct {
	// MQTTPrefix is put before the pair in topics of their own, at the broker of each MQTT
	// channel; "": its state is behind the channel's topic prefix.
	MQTTPrefix string
	Syslog     SyslogSink // a line for each change of trust; nowhere if Forward is empty
	OPCUA      OPCUASink  // an endpoint of its own; none if Listen is empty
}

// Memory bounds the state, the newest value of each key, that a role keeps. In bytes.
type Memory struct {
	State        int64 // of all channels together
	ChannelState int64 // of one channel
}

// Replay bounds what TX keeps of what has left, to send it again. In bytes.
type Replay struct {
	Memory int64 // 0: nothing is kept
	Disk   int64 // in the state directory; 0: no disk is used
}

// Medium is what carries the link.
type Medium string

// The media.
const (
	UDP      Medium = "udp"
	Ethernet Medium = "ethernet"
	UART     Medium = "uart"
)

// Link describes the one-way link; both ends use the same values.
type Link struct {
	Medium  Medium
	Address string // udp: host:port
	PeerMAC string // udp, TX: of the permanent neighbour entry for Address; "": the network's ARP finds it
	// Interface of ethernet, and of udp on a board where the link has one of its own: name,
	// mac: or path:, as package netdev reads it.
	Interface string
	Local     netip.Prefix // udp with an Interface: the address that it gets
	Speed     int          // ethernet: Mbit/s, full duplex, fixed; 0: as the two ends negotiate
	Device    string       // uart
	Baud      int          // uart, bits per second
	Rate      float64      // udp, ethernet: line rate, bits per second
	Overhead  float64      // floor of the parity share: parity ÷ source frames, 0.25 for "25%"
	KeyFile   string
}

// TLS names the files of a TLS peer. Without a CAFile the system's authorities are trusted.
type TLS struct {
	CAFile      string
	Certificate string
	PrivateKey  string
	// Own replaces the files: a listener's self-signed certificate that could not be saved.
	Own *tls.Certificate
}

// MQTTVersion is the protocol version to use.
type MQTTVersion string

// The versions.
const (
	MQTTAuto MQTTVersion = "auto"
	MQTT5    MQTTVersion = "5"
	MQTT311  MQTTVersion = "3.1.1"
)

// MQTTSource is a broker in the plant.
type MQTTSource struct {
	Channel  string
	Bulk     bool   // class = "bulk": the deep interleave, for large payloads over bursty links
	Broker   string // mqtt://host:port or mqtts://host:port
	Version  MQTTVersion
	Topics   []string
	Username string
	Password []byte // read from password_file
	ClientID string
	TLS      TLS
}

// Late says how messages that come after an outage healed are published.
type Late string

// The ways to publish them. None is ever retained.
const (
	LateSeparate Late = "separate" // below a prefix
	LateSame     Late = "same"     // to their own topic
	LateDrop     Late = "drop"     // not at all
)

// MQTTSink is a broker on the IT side: an external one (Broker) or the embedded one
// (Listen).
type MQTTSink struct {
	Channel     string
	Broker      string
	Listen      string // mqtt://host:port or mqtts://host:port of the embedded broker
	Version     MQTTVersion
	TopicPrefix string
	Late        Late   // what becomes of messages that an outage delayed
	LatePrefix  string // with LateSeparate, before TopicPrefix
	Username    string
	Password    []byte
	UsersFile   string // embedded broker: name:hash lines; "" lets any client read
	ClientID    string
	// TLS with Listen is the server's: with CAFile clients must present certificates,
	// without Certificate one is made in PKI.
	TLS        TLS
	SpoolBytes int64 // bound of the on-disk spool
}

// SyslogSource listens for syslog in the plant.
type SyslogSource struct {
	Channel string
	Bulk    bool
	Listen  []string // udp://, tcp://, tls:// host:port
	// TLS is for the tls:// listeners: with CAFile clients must present certificates,
	// without Certificate one is made in PKI.
	TLS TLS
}

// SyslogSink forwards to a collector.
type SyslogSink struct {
	Channel    string
	Forward    string // udp://, tcp://, tls:// host:port
	TLS        TLS
	SpoolBytes int64
}

// OPCUASource is an OPC UA server in the plant.
type OPCUASource struct {
	Channel            string
	Bulk               bool
	Endpoint           string
	SecurityPolicy     string
	SecurityMode       string
	Username           string
	Password           []byte
	UserCertificate    string
	UserPrivateKey     string
	PublishingInterval time.Duration
	Rebrowse           time.Duration
	AddressSpace       int64 // bytes
	TolerateHostName   bool  // accept another host name in a server certificate that is itself trusted
	TolerateDates      bool  // the same for its validity period
	Include            []string
	Exclude            []string
}

// OPCUASink is a mirror server.
type OPCUASink struct {
	Channel   string
	Listen    string
	Security  []string
	Anonymous bool
	UsersFile string
	Expired   []string // thumbprints of trusted client certificates whose validity period is not checked
	History   History
}

// History is what a mirror keeps for HistoryRead. The zero value keeps nothing.
type History struct {
	Age   time.Duration // of the oldest value that is kept
	Bytes int64         // on disk at most
}
