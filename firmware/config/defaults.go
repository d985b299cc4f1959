package config

import "time"

// Where the packages of a Linux host keep configuration and state: /etc holds nothing that
// a program writes. The state of hostFolder/NAME.toml is in hostState/NAME.
const (
	hostFolder = "/etc/heliograph"
	hostState  = "/var/lib/heliograph"
)

// The defaults of keys that are absent.
const (
	defaultState      = "state" // beside the file, unless that is in hostFolder
	defaultPKI        = "pki"   // below the state directory
	defaultStaleAfter = "3s"
	defaultRate       = "100Mbit/s"
	defaultBaud       = 921600
	defaultOverhead   = "25%"
	defaultSpool      = "64MiB"
	defaultAuditSpool = "1MiB"
	defaultTopic      = "#"
	defaultLatePrefix = "late/"
	defaultPublishing = "100ms"
	defaultRebrowse   = "10m"

	defaultAddressSpace = "44MiB"
	defaultStateMemory  = "80MiB" // sized for a board with 1 GB, as the next
	defaultChannelState = "64MiB"
	defaultHistorySize  = "2GiB"
	defaultReplay       = "64MiB"
	defaultPolicy       = "Basic256Sha256"
	defaultMode         = "SignAndEncrypt"
)

// defaultSecurity is what an OPC UA listener offers by default.
func defaultSecurity() []string {
	return []string{"Basic256Sha256/SignAndEncrypt", "Aes256_Sha256_RsaPss/SignAndEncrypt"}
}

// Our own bounds.
const (
	minRate, maxRate     = 9600.0, 10e9 // bits per second
	minBaud, maxBaud     = 9600, 4_000_000
	maxOverheadPercent   = 500
	minSpool, maxSpool   = 1 << 20, 1 << 40 // bytes
	minReplayDisk        = 64 << 20
	minStale, maxStale   = time.Second, time.Hour
	minPublish           = 10 * time.Millisecond
	maxPublish           = time.Hour
	minRebrowse          = 10 * time.Second
	maxRebrowse          = 7 * 24 * time.Hour
	minHistory           = time.Minute
	maxHistory           = 3650 * day
	maxChannels          = 256
	maxSmallFile         = 64 << 10 // bytes of a key, password or certificate file
	maxName              = 64       // bytes of a pair's or channel's name
	maxPassword          = 1 << 10
	portMQTT, portMQTTS  = "1883", "8883"
	portOPCUA, portNTP   = "4840", "123"
	portSyslogUDP        = "514"
	portSyslogTCP        = "601"
	portSyslogTLS        = "6514"
	worldReadable        = 0o004
	reservedChannelsText = "channel \"heliograph\" is reserved for the gateway: choose another name"
)
