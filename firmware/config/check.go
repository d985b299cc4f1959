package config

import (
	"cmp"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"heliograph/firmware/conduit/record"
)

// name checks the name of a pair or a channel. Names become topics, folders, metric labels
// and text on a screen, hence the narrow alphabet.
func (r *report) name(a tablePath, key, s string) string {
	letter := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
	}
	other := func(c rune) bool { return !letter(c) && !strings.ContainsRune("-_.", c) }
	switch {
	case s == "":
		r.fault(a, key, "%s is missing: write %s = \"press-hall\"", key, key)
	case len(s) > maxName:
		r.fault(a, key, "%s is longer than %d characters", key, maxName)
	case !letter(rune(s[0])) || strings.ContainsFunc(s, other):
		r.fault(a, key, "%s %q: start with a letter or digit, and use only letters, digits, \"-\", \"_\" and \".\"",
			key, s)
	}
	return s
}

// channelSet checks that channels differ in name and in number on the link.
type channelSet struct {
	*report
	byName map[string]int // line
	byID   map[uint16]string
	count  int
}

func (s *channelSet) add(a tablePath, channel string) {
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
		s.fault(a, "channel", "channel %q is already defined on line %d: use another name, unique across all protocols",
			channel, line)
		return
	}
	s.byName[channel] = s.lines.of(a, "channel")
	id := record.ChannelID(channel)
	if other, taken := s.byID[id]; taken {
		s.fault(a, "channel", "channels %q and %q have the same number, %d, on the link: rename one of them", channel,
			other, id)
	}
	s.byID[id] = channel
}

func (s *channelSet) checkCount() {
	switch {
	case s.count == 0:
		s.faultAt(1, "there is no channel: add an [[opcua]], [[mqtt]] or [[syslog]] table")
	case s.count > maxChannels:
		s.faultAt(1, "there are more than %d channels", maxChannels)
	}
}

// state returns the state directory.
func (r *report) state(raw string) string {
	if raw == "" && r.dir == hostFolder {
		return filepath.Join(hostState, strings.TrimSuffix(filepath.Base(r.file), ".toml"))
	}
	path := r.path(cmp.Or(raw, defaultState))
	r.folder("state", path)
	return path
}

// folder refuses a file where a folder is or is to be made.
func (r *report) folder(a tablePath, path string) {
	for at, above := path, ""; at != above; at, above = filepath.Dir(at), at {
		info, err := os.Stat(at)
		if err == nil && !info.IsDir() {
			r.fault(a, "directory", "directory: %s is not a folder: remove it, or set directory in [%s] to a folder",
				at, a)
		}
		if err == nil {
			return
		}
	}
}

// path resolves a path against the folder of the configuration file.
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
	path := r.path(raw.Directory)
	r.folder("pki", path)
	return path
}

func (r *report) timeServers(raw rawTime) []string {
	servers := make([]string, 0, len(raw.Servers))
	for _, s := range raw.Servers {
		full, ok := r.hostPort("time", "servers", s, portNTP)
		if ok && strings.HasPrefix(full, ":") {
			r.fault("time", "servers", "servers %q: the host is missing: write \"host:port\"", s)
		} else if ok {
			servers = append(servers, full)
		}
	}
	return servers
}

// hostPort checks "host:port", and adds the default port if there is none.
func (r *report) hostPort(a tablePath, key, s, port string) (string, bool) {
	if _, _, err := net.SplitHostPort(s); err != nil && port != "" {
		s = net.JoinHostPort(strings.Trim(s, "[]"), port)
	}
	host, number, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsAny(host, " /@\"'") {
		r.fault(a, key, "%s %q is not an address: write \"host:port\"", key, s)
		return "", false
	}
	if n, err := strconv.ParseUint(number, 10, 16); err != nil || n == 0 && key != "listen" {
		r.fault(a, key, "%s %q: the port must be a number from 1 to 65535", key, s)
		return "", false
	}
	return s, true
}

// address checks "scheme://host:port" and adds the scheme's port if there is none. An
// empty host, all addresses of the machine, is for listeners only.
func (r *report) address(a tablePath, key, s string, ports map[string]string) string {
	schemes := slices.Sorted(maps.Keys(ports))
	want := strings.Join(schemes, "://, ") + "://"
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" ||
		u.User != nil {
		r.fault(a, key, "%s %q is not an address: write \"%s://host:port\"", key, s, schemes[0])
		return ""
	}
	port, known := ports[u.Scheme]
	if !known {
		r.fault(a, key, "%s %q: the address must begin with one of %s", key, s, want)
		return ""
	}
	if u.Hostname() == "" && key != "listen" {
		r.fault(a, key, "%s %q: the host is missing: write \"%s://host:port\"", key, s, u.Scheme)
		return ""
	}
	full, ok := r.hostPort(a, key, u.Host, port)
	if !ok {
		return ""
	}
	return u.Scheme + "://" + full
}

func (r *report) duration(a tablePath, key, s string, low, high time.Duration) time.Duration {
	d, err := parseDuration(s, low, high)
	if err != nil {
		r.fault(a, key, "%s: %v", key, err)
	}
	return d
}

// choice checks that s is one of the given words.
func (r *report) choice(a tablePath, key, s string, words ...string) string {
	if !slices.Contains(words, s) {
		r.fault(a, key, "%s %q must be one of %s", key, s, strings.Join(words, ", "))
	}
	return s
}

func (r *report) bulk(a tablePath, class string) bool {
	return r.choice(a, "class", cmp.Or(class, "live"), "live", "bulk") == "bulk"
}

func (r *report) spool(a tablePath, s string) int64 {
	return r.size(a, "spool", cmp.Or(s, defaultSpool))
}

// memory checks the bounds of the state.
func (r *report) memory(raw rawMemory) Memory {
	m := Memory{
		State:        r.size("memory", "state", cmp.Or(raw.State, defaultStateMemory)),
		ChannelState: r.size("memory", "channel_state", cmp.Or(raw.ChannelState, defaultChannelState)),
	}
	if m.ChannelState > m.State && raw.ChannelState != "" {
		r.fault("memory", "channel_state", "channel_state must not exceed state, which bounds all channels together")
	}
	m.ChannelState = min(m.ChannelState, m.State)
	return m
}

// replay checks the bounds of what is sent again; "0" turns it off.
func (r *report) replay(raw rawReplay) Replay {
	if raw.Memory == "0" {
		r.forbid("replay", "memory = \"0\", which turns replay off", "disk")
		return Replay{}
	}
	c := Replay{Memory: r.size("replay", "memory", cmp.Or(raw.Memory, defaultReplay))}
	if raw.Disk == "" || raw.Disk == "0" {
		return c
	}
	if c.Disk = r.size("replay", "disk", raw.Disk); c.Disk > 0 && c.Disk < minReplayDisk {
		r.fault("replay", "disk", "disk %q: the least is 64MiB", raw.Disk)
	}
	return c
}

func (r *report) size(a tablePath, key, s string) int64 {
	size, err := parseSize(s)
	if err != nil {
		r.fault(a, key, "%s: %v", key, err)
	}
	return size
}

// forbid reports each of the keys that is present, and why it must not be.
func (r *report) forbid(a tablePath, why string, keys ...string) {
	for _, key := range keys {
		if r.has(a, key) {
			r.fault(a, key, "%s is not allowed with %s", key, why)
		}
	}
}
