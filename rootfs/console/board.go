package console

import (
	"context"
	"io"
	"time"

	"heliograph/firmware/config/pairkey"
	"heliograph/firmware/platform/cause"
	"heliograph/firmware/platform/health"
	"heliograph/firmware/platform/release"
	"heliograph/firmware/platform/report"
)

// Board is what the console shows, and what it may do. Errors are one line that
// says what to do.
type Board interface {
	Status() Status
	Log(lines int) []string // oldest first
	Identity() Certificate  // the board's own; the zero value for none
	Rejected() []Certificate
	Trust(thumbprint string) error
	Refused() []Run                         // of the transmitter, that the operator may accept
	Accept(id string) error                 // one of them
	Keys() (string, error)                  // which pair keys are used, in words
	ChangeKey(key [pairkey.Size]byte) error // a transmitter uses it from its next start on
	Network() Network
	CheckNetwork(Network) error // whether it could be set
	SetNetwork(Network) error   // takes effect with the next start
	Selftest(w io.Writer)
	// Probe sends reverse probes from a receiver, and says line by line what has left. It
	// runs beside all others; ctx ends it before.
	Probe(ctx context.Context, say func(line string)) error
	RestartRole()
	FreezeRole() // the watchdog has to reset the board
	Restart()
	PowerOff()
}

// Status is how the board stands.
type Status struct {
	Role     string        `json:"role"` // tx or rx
	Board    string        `json:"board"`
	Host     string        `json:"host"`
	Address  string        `json:"address"`
	Now      time.Time     `json:"now"`
	Up       time.Duration `json:"up_ns"`
	State    health.State  `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	Cause    cause.Cause   `json:"cause,omitzero"`   // why the role ended last, while it does not run
	Faults   []string      `json:"faults,omitempty"` // of the configuration, while it is refused
	Rejected int           `json:"rejected_certificates"`

	Release release.Running `json:"release"` // as PID 1 knows it
	Report  report.Report   `json:"report"`
}

// Certificate is one that was rejected.
type Certificate struct {
	Thumbprint string
	Subject    string
	Why        string
}

// Run is a run of the transmitter that the receiver refuses.
type Run struct {
	ID        string
	Epoch     uint64
	LastFrame time.Time
}

// Network is what network.toml says, as text; see package network.
type Network struct{ Hostname, Interface, Address, Gateway, Nameservers string }
