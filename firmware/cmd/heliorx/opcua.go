package main

import (
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/gopcua/opcua/ua"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/server"
	"heliograph/firmware/platform/identity"
	"heliograph/firmware/rx/sink/opcua"
)

// mirrors makes a server and a sink of every configured mirror.
func (b *board) mirrors(log *slog.Logger) error {
	if len(b.cfg.OPCUA) == 0 {
		return nil
	}
	var servers []*server.Server
	store, err := identity.Open(b.cfg.PKI, "rx", b.cfg.Pair, func() {
		for _, s := range servers {
			s.CheckTrust()
		}
		b.journal.Add("trust_changed", "a folder of certificates has changed")
	}, func(text string, n uint64) { b.journal.AddCount("certificate_rejected", text, n) }, log)
	if err != nil {
		return err
	}
	b.tasks = append(b.tasks, store)
	b.identity = &store
	b.expiries.Store = store.Store
	for _, c := range b.cfg.OPCUA {
		sc := server.Config{
			Channel: c.Channel, Listen: c.Listen, Store: store.Store, ApplicationURI: store.URI(), ProductURI: identity.ProductURI,
			ApplicationName: "Heliograph mirror of " + c.Channel, Security: securities(c.Security), Anonymous: c.Anonymous,
			UserCertificates: true, Expired: c.Expired, Space: addrspace.New(), Build: server.Build{ProductName: "Heliograph", Manufacturer: "Heliograph", Version: version, Date: built()},
			Refusal: "this is a read-only mirror behind a one-way link: nothing can reach the server that it mirrors", Log: log.With("channel", c.Channel),
		}
		if c.UsersFile != "" {
			known, err := b.users(c.UsersFile, "at the mirror of "+c.Channel, log)
			if err != nil {
				return err
			}
			sc.Password, sc.Known = known.Verify, known.Known
		}
		s, err := server.New(sc)
		if err != nil {
			return err
		}
		servers = append(servers, s)
		channel := b.link.Channel(c.Channel)
		b.add(channel, c.Channel, "opcua", c.Listen, opcua.New(c, b.cfg.State, opcua.Deps{Server: s, Channel: channel}, log), nil)
	}
	return nil
}

// built returns when this program was put where it is, the zero time where that cannot be
// had. Builds carry no date, so that two of them are the same.
func built() time.Time {
	path, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime().UTC()
}

// securities reads "Policy/Mode" as the configuration has checked it.
func securities(list []string) (offered []channel.Security) {
	for _, s := range list {
		policy, mode, _ := strings.Cut(s, "/")
		if policy == "None" {
			mode = "None"
		}
		offered = append(offered, channel.Security{Policy: ua.FormatSecurityPolicyURI(policy), Mode: ua.MessageSecurityModeFromString(mode)})
	}
	return offered
}
