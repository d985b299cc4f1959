package config

import (
	"encoding/hex"
	"net/url"
	"strings"
)

// opcuaPolicies are the security policies that either end speaks.
func opcuaPolicies() []string {
	return []string{"Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"}
}

func (r *report) opcuaSource(a at, raw rawOPCUASource) OPCUASource {
	s := OPCUASource{
		Channel:            raw.Channel,
		Bulk:               r.bulk(a, raw.Class),
		Endpoint:           r.opcuaEndpoint(a, raw.Endpoint),
		SecurityPolicy:     r.choice(a, "security_policy", orElse(raw.SecurityPolicy, defaultPolicy), append(opcuaPolicies(), "None")...),
		SecurityMode:       orElse(raw.SecurityMode, defaultMode),
		Username:           raw.Username,
		Password:           r.password(a, raw.Username, raw.PasswordFile),
		PublishingInterval: r.duration(a, "publishing_interval", orElse(raw.PublishingInterval, defaultPublishing), minPublish, maxPublish),
		Rebrowse:           r.duration(a, "rebrowse", orElse(raw.Rebrowse, defaultRebrowse), minRebrowse, maxRebrowse),
		AddressSpace:       r.size(a, "address_space", orElse(raw.AddressSpace, defaultAddressSpace)),
		Include:            raw.Include,
		Exclude:            raw.Exclude,
	}
	if s.SecurityPolicy == "None" && raw.SecurityMode == "" {
		s.SecurityMode = "None"
	}
	r.choice(a, "security_mode", s.SecurityMode, "None", "Sign", "SignAndEncrypt")
	if (s.SecurityPolicy == "None") != (s.SecurityMode == "None") {
		r.fault(a, "security_mode", "security_mode %q does not go with security_policy %q", s.SecurityMode, s.SecurityPolicy)
	}
	s.UserCertificate, s.UserPrivateKey = r.userCertificate(a, raw.UserCertificate, raw.UserPrivateKey)
	if s.Username != "" && s.UserCertificate != "" {
		r.fault(a, "username", "username and user_certificate exclude each other")
	}
	if s.Username != "" && raw.PasswordFile == "" {
		r.fault(a, "username", "username needs a password_file")
	}
	if s.SecurityPolicy == "None" {
		r.warn(a, "security_policy", "nothing protects this connection: neither the server's identity nor the values, nor a password")
	}
	r.tolerate(a, raw.Tolerate, &s)
	r.globs(a, "include", raw.Include)
	r.globs(a, "exclude", raw.Exclude)
	return s
}

// tolerate reads which checks of a trusted server's certificate are suppressed.
func (r *report) tolerate(a at, list []string, s *OPCUASource) {
	for _, one := range list {
		switch r.choice(a, "tolerate", one, "host_name", "dates") {
		case "host_name":
			s.TolerateHostName = true
		case "dates":
			s.TolerateDates = true
		}
	}
	if len(list) > 0 {
		r.warn(a, "tolerate", "the server's certificate is believed though its %s may be wrong: replace it, and leave the key out", strings.Join(list, ", "))
	}
}

// expired reads the thumbprints of clients' certificates whose dates do not count.
func (r *report) expired(a at, list []string) (out []string) {
	for _, one := range list {
		thumbprint := strings.ToUpper(strings.NewReplacer(":", "", " ", "").Replace(one))
		if _, err := hex.DecodeString(thumbprint); err != nil || len(thumbprint) != 40 {
			r.fault(a, "tolerate_expired", "%q is not a thumbprint: 40 hexadecimal digits, as \"heliograph trust list\" shows", one)
			continue
		}
		r.warn(a, "tolerate_expired", "the client's certificate %s is believed though its dates may be wrong: replace it, and leave it out here", thumbprint)
		out = append(out, thumbprint)
	}
	return out
}

func (r *report) opcuaSink(a at, raw rawOPCUASink) OPCUASink {
	s := OPCUASink{Channel: raw.Channel, Security: raw.Security, Anonymous: raw.Anonymous, UsersFile: r.usersFile(a, raw.UsersFile), Expired: r.expired(a, raw.Expired)}
	if raw.Listen == "" {
		r.fault(a, "listen", "listen is missing: such as \"opc.tcp://0.0.0.0:4840\"")
	} else {
		s.Listen = r.address(a, "listen", raw.Listen, map[string]string{"opc.tcp": portOPCUA})
	}
	if !r.has(a, "security") {
		s.Security = defaultSecurity()
	}
	if len(s.Security) == 0 {
		r.fault(a, "security", "security is empty; leave the key out for what is usual, or name what clients may use")
	}
	seen := map[string]bool{}
	for _, one := range s.Security {
		if seen[one] {
			r.fault(a, "security", "%q stands twice in security", one)
		}
		seen[one] = true
		r.opcuaSecurity(a, one)
	}
	return s
}

func (r *report) opcuaSecurity(a at, s string) {
	if s == "None" {
		r.warn(a, "security", "\"None\" lets everyone on the network read along, passwords aside")
		return
	}
	policy, mode, _ := strings.Cut(s, "/")
	for _, known := range opcuaPolicies() {
		if policy == known && (mode == "Sign" || mode == "SignAndEncrypt") {
			return
		}
	}
	r.fault(a, "security", "security %q: write a policy (%s) with \"/Sign\" or \"/SignAndEncrypt\", or \"None\"", s, strings.Join(opcuaPolicies(), ", "))
}

// opcuaEndpoint takes opc.tcp://host:port with any path, as servers have them.
func (r *report) opcuaEndpoint(a at, s string) string {
	if s == "" {
		r.fault(a, "endpoint", "endpoint is missing: such as \"opc.tcp://10.0.0.5:4840\"")
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || len(s) > 4096 {
		r.fault(a, "endpoint", "endpoint %q is no address: write \"opc.tcp://host:port\"", s)
		return ""
	}
	if u.Scheme != "opc.tcp" {
		r.fault(a, "endpoint", "endpoint %q: only opc.tcp:// works here", s)
		return ""
	}
	host, ok := r.hostPort(a, "endpoint", u.Host, portOPCUA)
	if !ok {
		return ""
	}
	u.Host = host
	return u.String()
}

// globs takes browse paths ("/Objects/Plant/**") and NodeIds ("ns=2;s=Press").
func (r *report) globs(a at, key string, patterns []string) {
	for _, p := range patterns {
		path := strings.HasPrefix(p, "/")
		id := strings.Contains(p, "i=") || strings.Contains(p, "s=") || strings.Contains(p, "g=") || strings.Contains(p, "b=")
		if !path && !id || len(p) > 4096 {
			r.fault(a, key, "%s: %q is neither a browse path (\"/Objects/Plant/**\") nor a NodeId (\"ns=2;s=Press\")", key, p)
		}
	}
}
