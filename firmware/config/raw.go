package config

import "strconv"

// The raw structs are the document as written: every key that exists, with its type.
// What its value may be is checked elsewhere.

type rawTX struct {
	Pair      string            `toml:"pair"`
	Link      rawLink           `toml:"link"`
	State     rawDirectory      `toml:"state"`
	Memory    rawMemory         `toml:"memory"`
	Replay    rawReplay         `toml:"replay"`
	PKI       rawDirectory      `toml:"pki"`
	Time      rawTime           `toml:"time"`
	Status    rawStatus         `toml:"status"`
	Telemetry rawTelemetry      `toml:"telemetry"`
	OPCUA     []rawOPCUASource  `toml:"opcua"`
	MQTT      []rawMQTTSource   `toml:"mqtt"`
	Syslog    []rawSyslogSource `toml:"syslog"`
}

type rawRX struct {
	Pair       string          `toml:"pair"`
	StaleAfter string          `toml:"stale_after"`
	Link       rawLink         `toml:"link"`
	State      rawDirectory    `toml:"state"`
	Memory     rawMemory       `toml:"memory"`
	PKI        rawDirectory    `toml:"pki"`
	Time       rawTime         `toml:"time"`
	Status     rawStatus       `toml:"status"`
	Telemetry  rawTelemetry    `toml:"telemetry"`
	Audit      rawAudit        `toml:"audit"`
	Announce   rawAnnounce     `toml:"announce"`
	OPCUA      []rawOPCUASink  `toml:"opcua"`
	MQTT       []rawMQTTSink   `toml:"mqtt"`
	Syslog     []rawSyslogSink `toml:"syslog"`
}

type rawLink struct {
	Medium    string `toml:"medium"`
	Address   string `toml:"address"`
	PeerMAC   string `toml:"peer_mac"`
	Interface string `toml:"interface"`
	Local     string `toml:"local"`
	Speed     string `toml:"speed"`
	Device    string `toml:"device"`
	Baud      int64  `toml:"baud"`
	Rate      string `toml:"rate"`
	Overhead  string `toml:"overhead"`
	KeyFile   string `toml:"key_file"`
}

type rawDirectory struct {
	Directory string `toml:"directory"`
}

type rawMemory struct {
	State        string `toml:"state"`
	ChannelState string `toml:"channel_state"`
}

type rawReplay struct {
	Memory string `toml:"memory"`
	Disk   string `toml:"disk"`
}

type rawTime struct {
	Servers []string `toml:"servers"`
}

type rawStatus struct {
	Listen       string   `toml:"listen"`
	UpdateListen string   `toml:"update_listen"`
	Hosts        []string `toml:"hosts"`
	UsersFile    string   `toml:"users_file"`
	Certificate  string   `toml:"certificate"`
	PrivateKey   string   `toml:"private_key"`
}

type rawTelemetry struct {
	Endpoint    string `toml:"endpoint"`
	HeadersFile string `toml:"headers_file"`
	CAFile      string `toml:"ca_file"`
	Interval    string `toml:"interval"`
}

type rawAudit struct {
	Forward     string `toml:"forward"`
	CAFile      string `toml:"ca_file"`
	Certificate string `toml:"certificate"`
	PrivateKey  string `toml:"private_key"`
	Spool       string `toml:"spool"`
}

type rawAnnounce struct {
	MQTTPrefix  string   `toml:"mqtt_prefix"`
	Forward     string   `toml:"forward"`
	CAFile      string   `toml:"ca_file"`
	Certificate string   `toml:"certificate"`
	PrivateKey  string   `toml:"private_key"`
	Spool       string   `toml:"spool"`
	Listen      string   `toml:"listen"`
	Security    []string `toml:"security"`
	Anonymous   bool     `toml:"anonymous"`
	UsersFile   string   `toml:"users_file"`
	Expired     []string `toml:"tolerate_expired"`
}

type rawOPCUASource struct {
	Channel            string   `toml:"channel"`
	Class              string   `toml:"class"`
	Endpoint           string   `toml:"endpoint"`
	SecurityPolicy     string   `toml:"security_policy"`
	SecurityMode       string   `toml:"security_mode"`
	Username           string   `toml:"username"`
	PasswordFile       string   `toml:"password_file"`
	UserCertificate    string   `toml:"user_certificate"`
	UserPrivateKey     string   `toml:"user_private_key"`
	PublishingInterval string   `toml:"publishing_interval"`
	Rebrowse           string   `toml:"rebrowse"`
	AddressSpace       string   `toml:"address_space"`
	Tolerate           []string `toml:"tolerate"`
	Include            []string `toml:"include"`
	Exclude            []string `toml:"exclude"`
}

type rawMQTTSource struct {
	Channel      string   `toml:"channel"`
	Class        string   `toml:"class"`
	Broker       string   `toml:"broker"`
	Version      string   `toml:"version"`
	Topics       []string `toml:"topics"`
	Username     string   `toml:"username"`
	PasswordFile string   `toml:"password_file"`
	ClientID     string   `toml:"client_id"`
	CAFile       string   `toml:"ca_file"`
	Certificate  string   `toml:"certificate"`
	PrivateKey   string   `toml:"private_key"`
}

type rawSyslogSource struct {
	Channel     string   `toml:"channel"`
	Class       string   `toml:"class"`
	Listen      []string `toml:"listen"`
	CAFile      string   `toml:"ca_file"`
	Certificate string   `toml:"certificate"`
	PrivateKey  string   `toml:"private_key"`
}

type rawOPCUASink struct {
	Channel   string   `toml:"channel"`
	Listen    string   `toml:"listen"`
	Security  []string `toml:"security"`
	Anonymous bool     `toml:"anonymous"`
	UsersFile string   `toml:"users_file"`
	Expired   []string `toml:"tolerate_expired"`

	History     string `toml:"history"`
	HistorySize string `toml:"history_size"`
}

type rawMQTTSink struct {
	Channel      string `toml:"channel"`
	Broker       string `toml:"broker"`
	Listen       string `toml:"listen"`
	Version      string `toml:"version"`
	TopicPrefix  string `toml:"topic_prefix"`
	Late         string `toml:"late"`
	LatePrefix   string `toml:"late_prefix"`
	Username     string `toml:"username"`
	PasswordFile string `toml:"password_file"`
	UsersFile    string `toml:"users_file"`
	ClientID     string `toml:"client_id"`
	CAFile       string `toml:"ca_file"`
	Certificate  string `toml:"certificate"`
	PrivateKey   string `toml:"private_key"`
	Spool        string `toml:"spool"`
}

type rawSyslogSink struct {
	Channel     string `toml:"channel"`
	Forward     string `toml:"forward"`
	CAFile      string `toml:"ca_file"`
	Certificate string `toml:"certificate"`
	PrivateKey  string `toml:"private_key"`
	Spool       string `toml:"spool"`
}

// element names the i-th table of an array of tables.
func element(array string, i int) tablePath { return tablePath(array + "[" + strconv.Itoa(i) + "]") }
