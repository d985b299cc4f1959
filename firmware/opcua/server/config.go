package server

import (
	"cmp"
	"log/slog"
	"net/netip"
	"time"

	"heliograph/firmware/opcua/addrspace"
	"heliograph/firmware/opcua/channel"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/opcua/transport"
)

// Config says what a server offers.
type Config struct {
	Channel string // whose counters these are
	Listen  string // opc.tcp://host:port[/path]; host may be 0.0.0.0 or [::]
	// Store holds our certificate and decides on clients'. It may be nil where only
	// policy None is offered, without user names.
	Store           *pki.Store
	ApplicationURI  string
	ProductURI      string
	ApplicationName string
	Build           Build
	// Security lists what sessions may use. Without None in it, policy None serves
	// discovery alone.
	Security  []channel.Security
	Anonymous bool
	// Password decides on a user's name and password, from a client's address; nil offers neither.
	Password func(name, password string, from netip.Addr) bool
	// Known says whether there still is such a user: the sessions of one who is not
	// end within seconds. nil keeps them.
	Known            func(name string) bool
	UserCertificates bool // Store decides on them too
	// Expired lists the thumbprints of trusted clients' certificates whose dates do not count.
	Expired   []string
	Space     *addrspace.Space
	Historian Historian // nil: HistoryRead is refused
	Refusal   string    // why nothing can be changed, for clients that ask for diagnostics
	Limits    Limits
	Transport transport.ListenConfig
	Now       func() time.Time
	Log       *slog.Logger
}

// Build is what the BuildInfo says.
type Build struct {
	ProductName, Manufacturer, Version string
	Date                               time.Time
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	l := c.Limits
	c.Transport.MaxConnections = cmp.Or(c.Transport.MaxConnections, l.Sessions+spareConnections)
	c.Transport.MaxMemory = cmp.Or(c.Transport.MaxMemory, maxMemory)
	c.Transport.MaxPerAddress = cmp.Or(c.Transport.MaxPerAddress, l.SessionsPerAddress+spareConnections/2)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("component", "opcua server", "channel", c.Channel)
	if c.Refusal == "" {
		c.Refusal = "this server can only be looked at"
	}
	if c.Space == nil {
		c.Space = addrspace.New()
	}
	return c
}
