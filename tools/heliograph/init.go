package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/role"
	"heliograph/tools/initial"
	"heliograph/tools/initial/create"
)

// initiation is what the flags of init say.
type initiation struct {
	answers initial.Answers
	given   initial.Given
	asked   map[string]bool // flags of questions that a person has answered
	skipped map[string]bool // flags of addresses that did not answer
	unkept  map[initial.Page][]initial.Question
	probing
	asker  asker               // nil: flags alone
	more   map[string][]string // by flag: its answers after the first
	useKey bool                // the pair key may exist
	yes    bool
	json   bool
	moved  []string // of defaults that were in use: what was taken instead
}

func initCommand() *cobra.Command {
	i := initiation{given: initial.Given{}, asked: map[string]bool{}, skipped: map[string]bool{},
		unkept: map[initial.Page][]initial.Question{}}
	c := &cobra.Command{
		Use:   "init [--tx FILE] [--rx FILE] [flags]",
		Short: "Write the first configurations of a pair, their key and their password files",
		Long: "On a terminal it asks, in a form, or line by line where TERM is dumb; each question has a flag, and\n" +
			"what flags say is not asked. With --yes or --json, or without a terminal, flags alone count, and\n" +
			"each question without one has the default that its flag shows. Those are the defaults of a trial on\n" +
			"one Linux machine: other answers, as those of --board, --medium and --address, change some.\n\n" +
			"Flags about a source may be repeated, for further sources of its kind: the second --mqtt-topics is\n" +
			"about the second --mqtt. Channels and ports without an answer are unlike those of the others.\n\n" +
			"It asks the servers and brokers of the plant what they offer, and the broker and the collector of IT,\n" +
			"where they are reached from here, unless --offline. For both roles on one machine it looks whether\n" +
			"their ports are free. The files\n" +
			"are commented, and \"heliograph check\" accepts them. A file that exists is never overwritten: all\n" +
			"are written, or none.",
		Example: "  heliograph init                               # asks\n" +
			"  heliograph init --yes                         # syslog on one machine, to try it\n" +
			"  heliograph init --board rpi4b --medium uart --opcua opc.tcp://10.0.0.5:4840 \\\n" +
			"      --opcua-user ot --opcua-password-file ot.password\n" +
			"  heliograph init --medium ethernet --tx-interface eth1 --rx-interface eth1 \\\n" +
			"      --mqtt mqtt://10.0.0.6:1883 --mqtt-to mqtts://it-broker:8883 --json",
		Args: cobra.NoArgs,
	}
	i.flags(c)
	c.RunE = i.run
	return c
}

func (i *initiation) flags(c *cobra.Command) {
	s := c.Flags()
	s.SortFlags = false
	suggested := initial.Suggested()
	for _, q := range initial.Questions() {
		s.Var(&answerFlag{first: q.Field(&i.answers), more: &i.more, flag: q.Flag}, q.Flag, q.Help)
		s.Lookup(q.Flag).DefValue = suggested[q.Flag]
	}
	s.StringVar(&i.answers.Key, "key", "pair.key",
		"file of the pair key, which is made; given, it may exist and is used")
	s.BoolVarP(&i.yes, "yes", "y", false, "ask nothing, and go on where a server or broker does not answer")
	i.probing.flags(c)
	s.BoolVar(&i.json, "json", false, "print what was found and written for a program")
}

func (i *initiation) run(c *cobra.Command, _ []string) error {
	for _, q := range initial.Questions() {
		i.given[q.Flag] = c.Flags().Changed(q.Flag)
	}
	i.useKey = c.Flags().Changed("key")
	if err := i.repeated(); err != nil {
		return err
	}
	i.notes = c.OutOrStdout()
	if i.json {
		i.notes = io.Discard
	}
	if err := i.probing.check(); err != nil {
		return err
	}
	if i.asker = newAsker(c); i.yes || i.json {
		i.asker = nil
	}
	if err := i.check(); err != nil {
		return err
	}
	for first := initial.PageFiles; ; {
		if err := i.pages(c, first); err != nil {
			return err
		}
		servers, files := i.servers()
		made, err := create.Write(i.answers, files, i.useKey)
		if err == nil {
			return i.report(c.OutOrStdout(), made, servers)
		}
		if first, err = i.refused(c.OutOrStdout(), err); err != nil {
			return err
		}
	}
}

// refused is for answers that lead to no configuration. A person changes them: the page is the
// first that is asked again, and all answers are there still.
func (i *initiation) refused(w io.Writer, err error) (initial.Page, error) {
	invalid, ok := errors.AsType[create.Invalid](err)
	flag := flagOf(err)
	switch {
	case flag != "":
		return i.again(initial.PageOf(flag), err, flag)
	case ok && i.asker == nil:
		fmt.Fprintln(w, invalid)
		return 0, exitError(role.Invalid)
	case ok:
		clear(i.given)
		clear(i.asked)
		return i.again(initial.PagePair, err)
	}
	return 0, failure{err}
}

// pages goes through the pages from one on; with someone to ask, more than once where an answer
// does not do.
func (i *initiation) pages(c *cobra.Command, first initial.Page) error {
	if first < initial.PageStatus {
		i.answers.More, i.found.More = nil, nil
		if err := i.through(c, first, initial.PageITPassword); err != nil {
			return err
		}
		if err := i.further(c); err != nil {
			return err
		}
	}
	if err := i.through(c, max(first, initial.PageStatus), initial.PageStatus); err != nil {
		return err
	}
	return i.review(c.Context())
}

// through goes through the pages from one to another.
func (i *initiation) through(c *cobra.Command, first, last initial.Page) error {
	for p := first; p <= last; {
		if err := i.questions(c.Context(), p); err != nil {
			return err
		}
		next, err := i.after(c, p)
		if err != nil {
			return err
		}
		if next > p && p != initial.PageOPCUA && p != initial.PageMQTT { // their logins are tried first
			i.keep()
		}
		p = next
	}
	return nil
}

// questions asks those of a page that no flag has answered, and completes the answers.
func (i *initiation) questions(ctx context.Context, p initial.Page) error {
	for {
		if i.asker != nil {
			if err := i.askPage(ctx, p); err != nil {
				return err
			}
		}
		err := initial.Complete(p, &i.answers, i.given)
		flag := flagOf(err)
		if flag == "" || i.asker == nil {
			return err
		}
		fmt.Fprintln(i.notes, err)
		i.forget(flag)
	}
}

// after does what the answers of a page allow, and returns the page that follows.
func (i *initiation) after(c *cobra.Command, p initial.Page) (next initial.Page, err error) {
	next = p + 1
	switch p {
	case initial.PageFiles: // before anything is asked in vain
		return i.free(c.Context(), next)
	case initial.PageListeners:
		if err := initial.Sourced(i.answers); err != nil {
			return i.again(initial.PageSources, err, "opcua", "mqtt", "syslog")
		}
	case initial.PageSources:
		if i.answers.OPCUA != "" {
			return i.ask(c, i.endpoints, retry{next: next, address: "opcua"})
		}
	case initial.PageOPCUAPassword:
		if next, err := i.read(p, initial.PageOPCUA, "opcua"); err != nil || next <= p || i.answers.OPCUA == "" {
			return next, err
		}
		return i.ask(c, i.session, retry{next, "opcua", initial.PageOPCUA, &i.answers.OPCUALogin})
	case initial.PageMQTTPassword:
		if next, err := i.read(p, initial.PageMQTT, "mqtt"); err != nil || next <= p || i.answers.MQTT == "" {
			return next, err
		}
		return i.ask(c, i.broker, retry{next, "mqtt", initial.PageMQTT, &i.answers.MQTTLogin})
	case initial.PageITPassword:
		if next, err := i.read(p, initial.PageIT, "mqtt-to", "it"); err != nil || next <= p {
			return next, err
		}
		return i.it(c, next)
	case initial.PageStatus:
		if err := initial.First(i.answers); err != nil {
			return i.again(initial.PageOf(flagOf(err)), err, flagOf(err))
		}
		if err := i.ports(); err != nil {
			return i.again(initial.PageOf(flagOf(err)), err, flagOf(err))
		}
	}
	return next, err
}

// initiated is what init prints for a program.
type initiated struct {
	Files    []string       `json:"files"`
	Key      string         `json:"key"`
	KeyKept  bool           `json:"key_existed"`
	Warnings []string       `json:"warnings"`
	Next     []initial.Step `json:"next"`
	Found    found          `json:"found"`
}

func (i *initiation) report(w io.Writer, made create.Result, servers []initial.Server) error {
	r := initiated{Files: made.Files, Key: made.Key, KeyKept: made.KeyKept, Warnings: []string{},
		Next: initial.Next(i.answers, servers), Found: i.found}
	for _, warning := range made.Warnings {
		r.Warnings = append(r.Warnings, fmt.Sprint(warning))
	}
	if i.json {
		r.Warnings = append(r.Warnings, i.moved...) // a person has seen them
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		if err := out.Encode(r); err != nil {
			return failure{err}
		}
		return nil
	}
	out := bufio.NewWriter(w)
	i.tell(out, r)
	if err := out.Flush(); err != nil {
		return failure{fmt.Errorf("the files are written, and what comes next cannot be: %w", err)}
	}
	return nil
}

// longCommand is the length of a command, in bytes, from which its reason stands above it.
const longCommand = 70

// tell writes the report for a person.
func (i *initiation) tell(w io.Writer, r initiated) {
	for _, path := range r.Files {
		fmt.Fprintln(w, "wrote", path)
	}
	if r.KeyKept {
		fmt.Fprintln(w, "uses ", r.Key)
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(w, warning)
	}
	fmt.Fprintln(w, "\nNext:")
	widest := 0
	for _, s := range r.Next {
		if len(s.Command) <= longCommand {
			widest = max(widest, len(s.Command))
		}
	}
	for _, s := range r.Next {
		switch {
		case s.Why != "" && len(s.Command) > longCommand:
			fmt.Fprintln(w, "  #", s.Why)
		case s.Why != "":
			s.Command = fmt.Sprintf("%-*s  # %s", widest, s.Command, s.Why)
		}
		fmt.Fprintln(w, " ", s.Command)
	}
}
