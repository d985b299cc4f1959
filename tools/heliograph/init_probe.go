package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gopcua/opcua/ua"
	"github.com/spf13/cobra"

	"heliograph/tools/initial"
	"heliograph/tools/initial/probe"
	"heliograph/tools/progress"
)

// probing is what init asks of the plant, and what it has found.
type probing struct {
	offline bool
	bounds  probe.Bounds
	notes   io.Writer      // what is found, in words
	slow    *progress.Line // of what is asked
	found   found
}

// found is what the plant has answered, as --json prints it.
type found struct {
	OPCUA *foundServer `json:"opcua,omitempty"`
	MQTT  *foundBroker `json:"mqtt,omitempty"`
	// of IT's side, as far as it is reached from here
	ITMQTT   *foundPeer `json:"it_mqtt,omitempty"`
	ITSyslog *foundPeer `json:"it_syslog,omitempty"`
	More     []found    `json:"more,omitempty"` // of further sources
}

type foundServer struct {
	URL string `json:"url"`
	probe.Server
	Login    string       `json:"login,omitempty"` // "ok", or what the server answered
	Space    *probe.Space `json:"address_space,omitempty"`
	Carousel *carousel    `json:"carousel,omitempty"`
}

// carousel is how long it takes on the link that was chosen.
type carousel struct {
	Idle float64 `json:"idle_seconds"`
	Busy float64 `json:"busy_seconds"`
}

// foundPeer is what IT's broker or collector has answered.
type foundPeer struct {
	URL     string `json:"url"`
	Version string `json:"version,omitempty"` // of MQTT
	Fault   string `json:"fault,omitempty"`   // why it was not reached
}

type foundBroker struct {
	URL string `json:"url"`
	probe.Welcome
}

const (
	askTime   = 10 * time.Second // for one answer
	mostNodes = 200_000
)

func (p *probing) flags(c *cobra.Command) {
	s := c.Flags()
	s.BoolVar(&p.offline, "offline", false, "ask no server, broker or collector")
	s.DurationVar(&p.bounds.Time, "browse-time", 30*time.Second, "how long to browse the OPC UA server at most")
	s.IntVar(&p.bounds.Nodes, "browse-nodes", mostNodes, "how many of its nodes to browse at most")
}

func (p *probing) check() error {
	if p.bounds.Time <= 0 || p.bounds.Nodes <= 0 {
		return errors.New("--browse-time and --browse-nodes must be above 0; --offline browses nothing")
	}
	return nil
}

// endpoints asks the OPC UA server what it offers, for the questions that follow.
func (p *probing) endpoints(ctx context.Context, a *initial.Answers) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	p.found.OPCUA, a.Offered = nil, nil
	s, err := probe.Endpoints(ctx, a.FromHere(a.OPCUA))
	if err != nil {
		return err
	}
	p.found.OPCUA = &foundServer{URL: a.OPCUA, Server: s}
	for _, e := range s.Endpoints {
		if e.Usable {
			a.Offered = append(a.Offered, e.Security)
		}
	}
	p.describe(s)
	if len(a.Offered) == 0 {
		return fmt.Errorf("%s offers no security that heliotx has: enable one of %s at the server", a.OPCUA,
			strings.Join(initial.Securities(), ", "))
	}
	return nil
}

func (p *probing) describe(s probe.Server) {
	fmt.Fprintf(p.notes, "OPC UA server %q (%s) offers, the strongest first:\n", s.Name, s.Application)
	t := tabwriter.NewWriter(p.notes, 0, 0, 2, ' ', 0)
	for _, e := range s.Endpoints {
		words := strings.Join(e.Users, ", ")
		if !e.Usable {
			words += " (heliotx does not have this policy)"
		}
		fmt.Fprintf(t, "  %s\t%s\n", e.Security, words)
	}
	_ = t.Flush()
	if c := s.Certificate; c != nil {
		fmt.Fprintf(p.notes, "  its certificate: %s, %s, until %s\n", c.Thumbprint, c.Subject,
			c.Until.Format(time.DateOnly))
	}
}

// session logs in at the OPC UA server and finds how large it is.
func (p *probing) session(ctx context.Context, a *initial.Answers) error {
	f := p.found.OPCUA
	if f == nil {
		return nil // it was not reached, and the user goes on without it
	}
	l := probe.Login{URL: a.FromHere(a.OPCUA), Security: a.OPCUASecurity, Name: a.OPCUALogin.Name,
		Password: a.OPCUALogin.Password}
	session, end, err := probe.Connect(ctx, l, &f.Server)
	p.certificate(a)
	if untrusted(err) {
		f.Login = err.Error()
		fmt.Fprintln(p.notes,
			"  login not tried: the server trusts no certificate that it does not know; it has to trust "+
				"heliotx's, see below")
		return nil
	}
	if err != nil {
		f.Login = err.Error()
		return err
	}
	defer end()
	f.Login = "ok"
	who := a.OPCUALogin.Name
	if who == "" {
		who = "anonymous"
	}
	fmt.Fprintf(p.notes, "  login as %s with %s: ok\n", who, a.OPCUASecurity)
	space, err := probe.Browse(ctx, session, p.bounds, func(done, known int) {
		p.slow.Set("browsing %s: %d of %d known nodes", a.OPCUA, done, known)
	})
	if err != nil {
		return fmt.Errorf("browsing %s: %w", a.OPCUA, err)
	}
	f.Space = &space
	idle, busy := initial.Carousel(*a, space.Bytes)
	f.Carousel = &carousel{idle.Seconds(), busy.Seconds()}
	more, about := "", "about"
	if space.Cut != "" {
		about = "more than"
		more = fmt.Sprintf(" of %d and more (the browse ended %s: --browse-time, --browse-nodes)", space.Known,
			space.Cut)
	}
	fmt.Fprintf(p.notes, "  browse: %d nodes%s: %d variables, %d objects, %d types, %d methods; %.1f s\n",
		space.Nodes, more, space.Variables, space.Objects, space.Types, space.Methods, space.Took.Seconds())
	fmt.Fprintf(p.notes, "  state: %s %s; the carousel sends it in %s on an idle line, %s on a full one\n",
		about, size(space.Bytes), roughly(idle), roughly(busy))
	return nil
}

// certificate says what trust alone does not overlook in the server's certificate.
func (p *probing) certificate(a *initial.Answers) {
	c := p.found.OPCUA.Certificate
	if c == nil || a.OPCUASecurity == "None" {
		return
	}
	a.Tolerate = c.Tolerate
	for i, fault := range c.Faults {
		fmt.Fprintf(p.notes, "  its certificate %s: give it another one, or write tolerate = [%q] into %s\n", fault,
			c.Tolerate[i], a.TX)
	}
}

// untrusted reports whether a server refused our certificate, which it has never seen.
func untrusted(err error) bool {
	return slices.ContainsFunc([]ua.StatusCode{ua.StatusBadSecurityChecksFailed, ua.StatusBadCertificateUntrusted,
		ua.StatusBadCertificateChainIncomplete}, func(code ua.StatusCode) bool { return errors.Is(err, code) })
}

// broker connects to the plant's broker.
func (p *probing) broker(ctx context.Context, a *initial.Answers) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	w, err := probe.Welcomes(ctx, probe.Broker{URL: a.FromHere(a.MQTT), Authority: a.MQTTAuthority,
		Name: a.MQTTLogin.Name, Password: a.MQTTLogin.Password})
	if err != nil {
		return err
	}
	p.found.MQTT = &foundBroker{a.MQTT, w}
	limits := ""
	if len(w.Limits) > 0 {
		limits = "; " + strings.Join(w.Limits, ", ")
	}
	fmt.Fprintf(p.notes, "MQTT broker %s: connected with MQTT %s%s\n", a.MQTT, w.Version, limits)
	return nil
}

// servers returns the OPC UA servers' certificates as files beside heliotx's configuration.
func (i *initiation) servers() (list []initial.Server, files []initial.File) {
	for n, a := range i.answers.Each() {
		f := i.found.OPCUA
		if n > 0 {
			f = i.found.More[n-1].OPCUA
		}
		if f == nil || f.Certificate == nil || a.OPCUASecurity == "None" {
			continue
		}
		s := initial.Server{Thumbprint: f.Certificate.Thumbprint,
			File: filepath.Join(filepath.Dir(a.TX), a.OPCUAChannel+"-server.der")}
		list = append(list, s)
		files = append(files, initial.File{Path: s.File, Content: string(f.Certificate.DER)})
	}
	return list, files
}

// size writes bytes in a unit that fits.
func size(n int64) string {
	switch {
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// roughly writes a time with as many digits as an estimate deserves. A cycle of the carousel
// takes a second at least.
func roughly(d time.Duration) string {
	switch {
	case d < time.Second:
		return "1 s"
	case d < 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}
