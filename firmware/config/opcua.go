package config

import (
	"cmp"
	"encoding/hex"
	"net/url"
	"path/filepath"
	"strings"

	"heliograph/firmware/config/pattern"
	"heliograph/firmware/config/users"
	"heliograph/firmware/platform/text"
)

// opcuaPolicies are the security policies that both roles implement, None aside.
func opcuaPolicies() []string {
	return []string{"Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"}
}

func (r *report) opcuaSource(a tablePath, raw rawOPCUASource) OPCUASource {
	s := OPCUASource{
		Channel:  raw.Channel,
		Bulk:     r.bulk(a, raw.Class),
		Endpoint: r.opcuaEndpoint(a, raw.Endpoint),
		SecurityPolicy: r.choice(a, "security_policy", cmp.Or(raw.SecurityPolicy, defaultPolicy),
			append(opcuaPolicies(), "None")...),
		SecurityMode: cmp.Or(raw.SecurityMode, defaultMode),
		Username:     raw.Username,
		Password:     r.password(a, raw.Username, raw.PasswordFile),
		PublishingInterval: r.duration(a, "publishing_interval", cmp.Or(raw.PublishingInterval, defaultPublishing),
			minPublish, maxPublish),
		Rebrowse:     r.duration(a, "rebrowse", cmp.Or(raw.Rebrowse, defaultRebrowse), minRebrowse, maxRebrowse),
		AddressSpace: r.size(a, "address_space", cmp.Or(raw.AddressSpace, defaultAddressSpace)),
		Include:      raw.Include,
		Exclude:      raw.Exclude,
	}
	if s.SecurityPolicy == "None" && raw.SecurityMode == "" {
		s.SecurityMode = "None"
	}
	r.choice(a, "security_mode", s.SecurityMode, "None", "Sign", "SignAndEncrypt")
	if (s.SecurityPolicy == "None") != (s.SecurityMode == "None") {
		r.fault(a, "security_mode", "security_mode %q is not allowed with security_policy %q", s.SecurityMode,
			s.SecurityPolicy)
	}
	s.UserCertificate, s.UserPrivateKey = r.userCertificate(a, raw.UserCertificate, raw.UserPrivateKey)
	if s.Username != "" && s.UserCertificate != "" {
		r.fault(a, "username", "username and user_certificate exclude each other: keep one of them")
	}
	if s.Username != "" && raw.PasswordFile == "" {
		r.fault(a, "username", "username needs a password: add password_file = \"…\"")
	}
	if s.SecurityPolicy == "None" {
		r.warn(a, "security_policy",
			"this connection is not protected: the server is not authenticated, and values and passwords can be read")
	}
	r.tolerate(a, raw.Tolerate, &s)
	names := r.patterns(a, "include", raw.Include) + r.patterns(a, "exclude", raw.Exclude)
	if err := pattern.TooMany(names); err != nil {
		key := "include"
		if len(raw.Include) == 0 {
			key = "exclude"
		}
		r.fault(a, key, "%v", err)
	}
	return s
}

// tolerate sets which checks of a trusted server certificate are skipped.
func (r *report) tolerate(a tablePath, list []string, s *OPCUASource) {
	var skipped []string
	for _, one := range list {
		switch r.choice(a, "tolerate", one, "host_name", "dates") {
		case "host_name":
			s.TolerateHostName = true
		case "dates":
			s.TolerateDates = true
		default:
			continue // a fault
		}
		skipped = append(skipped, one)
	}
	if len(skipped) > 0 {
		r.warn(a, "tolerate",
			"the server's certificate is accepted without a check of its %s: replace it and remove this key",
			strings.Join(skipped, ", "))
	}
}

// tolerateExpired checks the thumbprints of client certificates whose validity period is
// not checked.
func (r *report) tolerateExpired(a tablePath, list []string) (out []string) {
	for _, one := range list {
		thumbprint := strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(one))
		if _, err := hex.DecodeString(thumbprint); err != nil || len(thumbprint) != 40 {
			r.fault(a, "tolerate_expired",
				"%q is not a thumbprint: copy the 40 hexadecimal digits that \"heliograph trust list\" shows", one)
			continue
		}
		r.warn(a, "tolerate_expired",
			"client certificate %s is accepted without a check of its dates: replace it and remove it here", thumbprint)
		out = append(out, thumbprint)
	}
	return out
}

func (r *report) opcuaSink(a tablePath, raw rawOPCUASink) OPCUASink {
	s := OPCUASink{Channel: raw.Channel, Security: raw.Security, Anonymous: raw.Anonymous,
		UsersFile: r.usersFile(a, raw.UsersFile), Expired: r.tolerateExpired(a, raw.Expired),
		History: r.history(a, raw)}
	if raw.Listen == "" {
		r.fault(a, "listen", "listen is missing: write listen = \"opc.tcp://0.0.0.0:4840\"")
	} else {
		s.Listen = r.address(a, "listen", raw.Listen, map[string]string{"opc.tcp": portOPCUA})
	}
	if !r.has(a, "security") {
		s.Security = defaultSecurity()
	}
	if len(s.Security) == 0 {
		r.fault(a, "security", "security is empty: remove the key for the default, or list what clients may use")
	}
	seen := map[string]bool{}
	for _, one := range s.Security {
		if seen[one] {
			r.fault(a, "security", "%q is listed twice in security", one)
		}
		seen[one] = true
		r.opcuaSecurity(a, one)
	}
	return s
}

// warnUnusable warns of a mirror that no user can enter. Of a board's own folder of certificates another
// machine sees nothing: a warning, no fault.
func (r *report) warnUnusable(a tablePath, s OPCUASink, pki string) {
	if s.Anonymous || s.Listen == "" {
		return
	}
	if known, err := users.Load(s.UsersFile); s.UsersFile != "" && (err != nil || known.Len() > 0) {
		return // the fault of a file is said
	}
	certificates, _ := filepath.Glob(filepath.Join(pki, "trusted_users", "certs", "*"))
	if len(certificates) > 0 {
		return
	}
	key, cure := "listen", `add users_file = "users"`
	if s.UsersFile != "" {
		key, cure = "users_file", "run heliograph user add "+s.UsersFile+" NAME"
	}
	r.warn(a, key, "no user can log in: %s, or set anonymous = true (users with a certificate can, once it is trusted)",
		cure)
}

// history reads what a mirror keeps.
func (r *report) history(a tablePath, raw rawOPCUASink) (h History) {
	if raw.History == "" {
		if r.has(a, "history") {
			r.fault(a, "history", "history is empty: write history = \"30d\", or remove the key to keep nothing")
		}
		if r.has(a, "history_size") {
			r.fault(a, "history_size", "history_size needs history: add history = \"30d\", or remove history_size")
		}
		return h
	}
	h.Age = r.duration(a, "history", raw.History, minHistory, maxHistory)
	h.Bytes = r.size(a, "history_size", cmp.Or(raw.HistorySize, defaultHistorySize))
	return h
}

func (r *report) opcuaSecurity(a tablePath, s string) {
	if s == "None" {
		r.warn(a, "security", "\"None\" lets anyone on the network read the values; passwords stay encrypted")
		return
	}
	policy, mode, _ := strings.Cut(s, "/")
	for _, known := range opcuaPolicies() {
		if policy == known && (mode == "Sign" || mode == "SignAndEncrypt") {
			return
		}
	}
	r.fault(a, "security", "security %q: write a policy (%s) followed by \"/Sign\" or \"/SignAndEncrypt\", or \"None\"",
		s, strings.Join(opcuaPolicies(), ", "))
}

// opcuaEndpoint checks opc.tcp://host:port, with any path.
func (r *report) opcuaEndpoint(a tablePath, s string) string {
	if s == "" {
		r.fault(a, "endpoint", "endpoint is missing: write endpoint = \"opc.tcp://10.0.0.5:4840\"")
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || len(s) > 4096 {
		r.fault(a, "endpoint", "endpoint %q is not an address: write \"opc.tcp://host:port\"", s)
		return ""
	}
	if u.Scheme != "opc.tcp" {
		r.fault(a, "endpoint", "endpoint %q: the address must begin with opc.tcp://", s)
		return ""
	}
	host, ok := r.hostPort(a, "endpoint", u.Host, portOPCUA)
	if !ok {
		return ""
	}
	u.Host = host
	return u.String()
}

// patterns returns how many names the patterns of a list have.
func (r *report) patterns(a tablePath, key string, list []string) (names int) {
	for _, s := range list {
		p, err := pattern.Parse(s)
		if err != nil {
			r.fault(a, key, "%s: %q: %v", key, text.Clip(s, 100), err)
		}
		names += len(p.Names)
	}
	return names
}
