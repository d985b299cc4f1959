package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/cause"
	"heliograph/tools/initial"
	"heliograph/tools/initial/probe"
)

// away reports whether nothing answered: IT's side need not be reached from where init runs, for
// the plant's side may have no way to it.
func away(err error) bool {
	return slices.Contains([]cause.Code{cause.NameUnknown, cause.ConnectionRefused, cause.Unreachable},
		cause.Of(err).Code)
}

// it asks IT's broker and collector, where they can be reached from here.
func (i *initiation) it(c *cobra.Command, next initial.Page) (initial.Page, error) {
	if i.offline {
		return next, nil
	}
	i.collector(c.Context(), &i.answers)
	if i.answers.MQTT == "" || i.answers.MQTTTo == "" {
		return next, nil
	}
	return i.ask(c, i.itBroker, retry{next, "mqtt-to", initial.PageITServers, &i.answers.MQTTToLogin})
}

// itBroker connects to IT's broker as heliorx would.
func (p *probing) itBroker(ctx context.Context, a *initial.Answers) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	w, err := probe.Welcomes(ctx, probe.Broker{URL: a.FromHere(a.MQTTTo), Authority: a.MQTTToAuthority,
		AuthorityFlag: "--mqtt-to-ca", Name: a.MQTTToLogin.Name, Password: a.MQTTToLogin.Password})
	if err != nil && away(err) {
		p.found.ITMQTT = &foundPeer{URL: a.MQTTTo, Fault: err.Error()}
		fmt.Fprintf(p.notes, "IT's broker is not reached from here: %v; heliorx has to reach it from its machine\n",
			err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("IT's broker: %w", err)
	}
	p.found.ITMQTT = &foundPeer{URL: a.MQTTTo, Version: w.Version}
	limits := ""
	for _, l := range w.Limits {
		limits += "; " + l
	}
	fmt.Fprintf(p.notes, "IT's broker %s: connected with MQTT %s%s\n", a.MQTTTo, w.Version, limits)
	return nil
}

// collector connects to IT's syslog collector over TCP or TLS, and sends it nothing.
func (p *probing) collector(ctx context.Context, a *initial.Answers) {
	if a.Syslog == "" || a.SyslogTo == "" || initial.InPlaceOfCollector(*a) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	asked, err := probe.Collector(ctx, a.FromHere(a.SyslogTo))
	switch {
	case !asked:
	case err == nil:
		p.found.ITSyslog = &foundPeer{URL: a.SyslogTo}
		fmt.Fprintf(p.notes, "IT's collector %s: takes connections\n", a.SyslogTo)
	case away(err):
		p.found.ITSyslog = &foundPeer{URL: a.SyslogTo, Fault: err.Error()}
		fmt.Fprintf(p.notes, "IT's collector is not reached from here: %v; heliorx has to reach it from its "+
			"machine\n", err)
	default:
		p.found.ITSyslog = &foundPeer{URL: a.SyslogTo, Fault: err.Error()}
		fmt.Fprintf(p.notes, "IT's collector: %v; where its certificate is of an authority of yours, write ca_file "+
			"into "+
			"[[syslog]] of %s\n", err, a.RX)
	}
}
