// Package doctor examines one side of a pair where its role runs, or would run: files,
// state, ports, link, peers. It names the cause of each fault and what cures it.
//
//	doctor.go    what is examined, in this order
//	files.go     files of the configuration, [state] and [pki]
//	running.go   a role that runs: its own words, from its status port
//	link.go      the interface, port or address of the link
//	peers.go     servers, brokers and collectors
//
// It changes nothing: no file stays (one is in the state for a moment), no epoch is used, no
// session is left at a broker, and the link is not opened. While the role runs it asks the role, in place of the peers.
// It refuses to guess what only a running role knows, and lists that as unchecked.
package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/diagnosis"
	"heliograph/firmware/platform/status"
)

// Config says what to examine.
type Config struct {
	Role     string // tx or rx
	File     string
	TX       config.TX // of that role, the other is the zero value
	RX       config.RX
	Warnings []config.Warning
	Other    string // file of the other side; ""
	// User and Password are for a status port that asks for them.
	User, Password string
	Doing          func(what string) // is called with what is examined now
	Now            func() time.Time  // nil: the machine's clock
}

// Result is what was found.
type Result struct {
	Role      string         `json:"role"`
	Config    string         `json:"config"`
	Running   bool           `json:"running"`
	Trust     *status.Trust  `json:"trust,omitempty"` // what the role says of its numbers
	Findings  diagnosis.List `json:"findings"`
	Fine      []string       `json:"fine"`
	Warnings  []string       `json:"warnings"`  // of the configuration, that are no findings
	Unchecked []string       `json:"unchecked"` // what was not examined, and why
}

// examination is one run.
type examination struct {
	Config
	site       diagnosis.Site
	state, pki string
	link       config.Link
	status     config.Status
	store      *pki.Store // nil: the folder of certificates cannot be read
	reported   bool       // the role has said itself how it stands

	mu     sync.Mutex
	result Result
}

// Run examines a side.
func Run(ctx context.Context, c Config) Result {
	x := &examination{Config: c, site: diagnosis.Site{Role: c.Role, Config: c.File}}
	x.state, x.pki, x.link, x.status = c.TX.State, c.TX.PKI, c.TX.Link, c.TX.Status
	if c.Role == "rx" {
		x.state, x.pki, x.link, x.status = c.RX.State, c.RX.PKI, c.RX.Link, c.RX.Status
	}
	x.result = Result{Role: c.Role, Config: c.File, Findings: diagnosis.List{}, Fine: []string{}, Warnings: []string{},
		Unchecked: []string{}}
	for _, step := range []struct {
		what string
		do   func(context.Context)
	}{
		{"files", x.files}, {"the other side's file", x.other}, {"state", x.examineState}, {"certificates",
			x.certificates},
		{"the role", x.running}, {"the link", x.examineLink}, {"ports", x.ports}, {"peers", x.peers},
		{"certificates that were rejected", x.rejected},
	} {
		x.doing(step.what)
		step.do(ctx)
	}
	x.levels()
	return x.result
}

// levels says how bad what was found here is. It is no fault of the numbers while the role
// says that they can be trusted.
func (x *examination) levels() {
	trusted := x.result.Trust != nil && x.result.Trust.Level == status.Yes
	warnings := []string{"file-permissions", "certificate-expiry", "rejected", "login", "no-certificate", "disk-full",
		"status-certificate"}
	for i := range x.result.Findings {
		f := &x.result.Findings[i]
		switch {
		case f.Level == diagnosis.Alarm:
		case trusted, f.Level == "" && slices.Contains(warnings, f.Code):
			f.Level = diagnosis.Warning
		case f.Level == "":
			f.Level = diagnosis.Fault
		}
	}
}

func (x *examination) doing(what string) {
	if x.Doing != nil {
		x.Doing(what)
	}
}

// found adds findings.
func (x *examination) found(list ...diagnosis.Finding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, f := range list {
		x.result.Findings.Add(f)
	}
}

// add adds one finding.
func (x *examination) add(code, where, cause, cure string) {
	x.found(diagnosis.Finding{Code: code, Where: where, Cause: cause, Cure: cure}) // see levels
}

func (x *examination) fine(what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Fine = append(x.result.Fine, what)
}

func (x *examination) unchecked(what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.result.Unchecked = append(x.result.Unchecked, what)
}

// now is what certificates and servers' clocks are compared with.
func (x *examination) now() time.Time {
	if x.Now != nil {
		return x.Now()
	}
	return time.Now()
}
