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
	Refusal   string // why nothing can be changed, for clients that ask for diagnostics
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

// Limits bounds what clients may take. The zero value of each field means its default.
type Limits struct {
	Sessions           int           // in total, 500
	SessionsPerAddress int           // of one client address, 250
	MinTimeout         time.Duration // of a session, 10 s
	MaxTimeout         time.Duration // 1 h
	Operations         int           // in one request, 10 000
	ContinuationPoints int           // of a session, 50
	References         int           // in one BrowseResult, 10 000
	Message            uint32        // largest request of a session, bytes, 4 MiB
}

// Our own choices.
const (
	maxUnactivated = 100              // sessions that nobody has activated yet
	activateWithin = 30 * time.Second // before such a session is closed
	smallMessage   = 64 << 10         // largest request before a session is activated
	maxQueued      = 128              // responses that wait for a client to take them
	maxQueuedBytes = 1 << 20          // of them, before no further request is taken
	maxBusy        = 4                // requests whose answers may be large, at a time
	// maxMemory is for messages that come and go, beside the 32 KiB that each connection
	// has. With those of 550 connections and one large request that is decoded that is 60 MB.
	maxMemory        = 24 << 20
	maxPerConn       = 4  // sessions of a connection that nobody has activated yet
	spareConnections = 50 // beyond one for each session: discovery, and those that come and go
	sweepEvery       = time.Second
	minClientNonce   = 32 // bytes, OPC 10000-4 §5.7.2
	maxPasswordSize  = 1024
)

func (c Config) withDefaults() Config {
	l := &c.Limits
	for _, d := range []struct {
		field *int
		value int
	}{{&l.Sessions, 500}, {&l.SessionsPerAddress, 250}, {&l.Operations, 10_000}, {&l.ContinuationPoints, 50}, {&l.References, 10_000}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if l.MinTimeout == 0 {
		l.MinTimeout = 10 * time.Second
	}
	if l.MaxTimeout == 0 {
		l.MaxTimeout = time.Hour
	}
	if l.Message == 0 {
		l.Message = 4 << 20
	}
	c.Transport.MaxConnections = cmp.Or(c.Transport.MaxConnections, l.Sessions+spareConnections)
	c.Transport.MaxMemory = cmp.Or(c.Transport.MaxMemory, maxMemory)
	c.Transport.MaxPerAddress = cmp.Or(c.Transport.MaxPerAddress, l.SessionsPerAddress+spareConnections/2)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Refusal == "" {
		c.Refusal = "this server can only be looked at"
	}
	if c.Space == nil {
		c.Space = addrspace.New()
	}
	return c
}
