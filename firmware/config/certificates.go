package config

// Certificates returns the files of the configured certificates by what they are for, as a
// status names them.
func (c TX) Certificates() map[string]string {
	files := named{}
	files.add("status", c.Status.TLS.Certificate)
	for _, s := range c.OPCUA {
		files.add("opcua user of "+s.Channel, s.UserCertificate)
	}
	for _, s := range c.MQTT {
		files.add("mqtt "+s.Channel, s.TLS.Certificate)
	}
	for _, s := range c.Syslog {
		files.add("syslog "+s.Channel, s.TLS.Certificate)
	}
	return files
}

// Certificates is the same as that of TX.
func (c RX) Certificates() map[string]string {
	files := named{}
	files.add("status", c.Status.TLS.Certificate)
	files.add("audit forward", c.Audit.TLS.Certificate)
	files.add("announce forward", c.Announce.Syslog.TLS.Certificate)
	for _, s := range c.MQTT {
		files.add("mqtt "+s.Channel, s.TLS.Certificate)
	}
	for _, s := range c.Syslog {
		files.add("syslog "+s.Channel, s.TLS.Certificate)
	}
	return files
}

// named are files by what they are for.
type named map[string]string

func (n named) add(name, file string) {
	if file != "" {
		n[name] = file
	}
}
