package config

import (
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"heliograph/firmware/conduit/record"
)

// name checks the name of a pair or a channel. Names become topics, folders,
// metric labels and lines on a screen, hence the narrow alphabet.
func (r *report) name(a at, key, s string) string {
	letter := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	switch {
	case s == "":
		r.fault(a, key, "%s is missing: give it a name, such as %s = \"press-hall\"", key, key)
	case len(s) > maxName:
		r.fault(a, key, "%s is longer than %d letters", key, maxName)
	case !letter(rune(s[0])) || strings.ContainsFunc(s, func(c rune) bool { return !letter(c) && !strings.ContainsRune("-_.", c) }):
		r.fault(a, key, "%s %q: names begin with a letter or digit, and hold letters, digits, \"-\", \"_\" and \".\" only", key, s)
	}
	return s
}

// channelSet finds channels that cannot be told apart.
type channelSet struct {
	*report
	byName map[string]int // line
	byID   map[uint16]string
	count  int
}

func (s *channelSet) add(a at, channel string) {
	s.count++
	if s.byName == nil {
		s.byName, s.byID = map[string]int{}, map[uint16]string{}
	}
	s.name(a, "channel", channel)
	if channel == "" {
		return
	}
	if channel == record.Gateway {
		s.fault(a, "channel", "%s", reservedChannelsText)
		return
	}
	if line, twice := s.byName[channel]; twice {
		s.fault(a, "channel", "the channel %q stands already in line %d; names are unique over all protocols", channel, line)
		return
	}
	s.byName[channel] = s.lines.of(a, "channel")
	id := record.ChannelID(channel)
	if other, taken := s.byID[id]; taken {
		s.fault(a, "channel", "the channels %q and %q have the same number %d on the wire; change one name a little", channel, other, id)
	}
	s.byID[id] = channel
}

func (s *channelSet) finish() {
	switch {
	case s.count == 0:
		s.faultAt(1, "no channel: add at least one [[opcua]], [[mqtt]] or [[syslog]]")
	case s.count > maxChannels:
		s.faultAt(1, "more than %d channels", maxChannels)
	}
}

// portSet finds two listeners on one address.
type portSet struct {
	*report
	taken map[string]int // "tcp 0.0.0.0:514" → line
}

func (s *portSet) addURL(a at, key, listen string) {
	scheme, address, found := strings.Cut(listen, "://")
	if !found {
		return
	}
	network := "tcp"
	if scheme == "udp" {
		network = "udp"
	}
	s.add(a, key, network, address)
}

func (s *portSet) add(a at, key, network, address string) {
	if address == "" || strings.HasSuffix(address, ":0") {
		return
	}
	if s.taken == nil {
		s.taken = map[string]int{}
	}
	id := network + " " + address
	if line, twice := s.taken[id]; twice {
		s.fault(a, key, "%s %s is listened on already in line %d", network, address, line)
		return
	}
	s.taken[id] = s.lines.of(a, key)
}

// path resolves a path against the folder of the file.
func (r *report) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(r.dir, p)
}

func (r *report) pki(raw rawDirectory, state string) string {
	if raw.Directory == "" {
		return filepath.Join(state, defaultPKI)
	}
	return r.path(raw.Directory)
}

func (r *report) timeServers(raw rawTime) []string {
	servers := make([]string, 0, len(raw.Servers))
	for _, s := range raw.Servers {
		if full, ok := r.hostPort("time", "servers", s, portNTP); ok {
			servers = append(servers, full)
		}
	}
	return servers
}

// hostPort checks "host:port"; without a port it takes the given one.
func (r *report) hostPort(a at, key, s, port string) (string, bool) {
	if _, _, err := net.SplitHostPort(s); err != nil && port != "" {
		s = net.JoinHostPort(strings.Trim(s, "[]"), port)
	}
	host, number, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /@\"'") {
		r.fault(a, key, "%s %q is no address: write \"host:port\"", key, s)
		return "", false
	}
	if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 && key != "listen" {
		r.fault(a, key, "%s %q: the port must be a number up to 65535", key, s)
		return "", false
	}
	return s, true
}

// address checks "scheme://host:port" and completes its port. The empty host
// is for listeners only: every address of the machine.
func (r *report) address(a at, key, s string, ports map[string]string) string {
	schemes := slices.Sorted(maps.Keys(ports))
	want := strings.Join(schemes, "://, ") + "://"
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		r.fault(a, key, "%s %q is no address: write \"%s://host:port\"", key, s, schemes[0])
		return ""
	}
	port, known := ports[u.Scheme]
	if !known {
		r.fault(a, key, "%s %q: only %s work here", key, s, want)
		return ""
	}
	if u.Hostname() == "" && key != "listen" {
		r.fault(a, key, "%s %q: the host is missing", key, s)
		return ""
	}
	full, ok := r.hostPort(a, key, u.Host, port)
	if !ok {
		return ""
	}
	return u.Scheme + "://" + full
}

func (r *report) duration(a at, key, s string, low, high time.Duration) time.Duration {
	d, err := parseDuration(s, low, high)
	if err != nil {
		r.fault(a, key, "%s: %v", key, err)
	}
	return d
}

// choice checks that s is one of a few words.
func (r *report) choice(a at, key, s string, words ...string) string {
	if !slices.Contains(words, s) {
		r.fault(a, key, "%s %q must be one of %s", key, s, strings.Join(words, ", "))
	}
	return s
}

func (r *report) bulk(a at, class string) bool {
	return r.choice(a, "class", orElse(class, "live"), "live", "bulk") == "bulk"
}

func (r *report) spool(a at, s string) int64 { return r.size(a, "spool", orElse(s, defaultSpool)) }

// memory reads how much state may be kept.
func (r *report) memory(raw rawMemory) Memory {
	m := Memory{
		State:        r.size("memory", "state", orElse(raw.State, defaultStateMemory)),
		ChannelState: r.size("memory", "channel_state", orElse(raw.ChannelState, defaultChannelState)),
	}
	if m.ChannelState > m.State && raw.ChannelState != "" {
		r.fault("memory", "channel_state", "channel_state is more than state, which is for all channels together")
	}
	m.ChannelState = min(m.ChannelState, m.State)
	return m
}

func (r *report) size(a at, key, s string) int64 {
	size, err := parseSize(s)
	if err != nil {
		r.fault(a, key, "%s: %v", key, err)
	}
	return size
}

// refuse faults each of the keys that is there, because of why.
func (r *report) refuse(a at, why string, keys ...string) {
	for _, key := range keys {
		if r.has(a, key) {
			r.fault(a, key, "%s does not go with %s", key, why)
		}
	}
}
