package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/role"
	"heliograph/tools/initial"
	"heliograph/tools/initial/create"
)

// initiation is what the flags of init say.
type initiation struct {
	answers initial.Answers
	given   initial.Given
	probing
	useKey bool // the pair key may exist
	yes    bool
	json   bool
}

func initCommand() *cobra.Command {
	i := initiation{given: initial.Given{}}
	c := &cobra.Command{
		Use:   "init [--tx FILE] [--rx FILE] [flags]",
		Short: "Write the first configurations of a pair, their key and their password files",
		Long: "Each flag is a question; one that is not given has the answer that its help suggests. The files\n" +
			"are commented, and \"heliograph check\" accepts them. A file that exists is never overwritten: all\n" +
			"are written, or none.",
		Example: "  heliograph init                               # syslog on one machine, to try it\n" +
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
	for _, q := range initial.Questions() {
		s.StringVar(q.Field(&i.answers), q.Flag, "", q.Help)
	}
	s.StringVar(&i.answers.Key, "key", "pair.key",
		"file of the pair key, which is made; given, it may exist and is used")
	s.BoolVarP(&i.yes, "yes", "y", false, "go on where a server or broker does not answer")
	i.probing.flags(c)
	s.BoolVar(&i.json, "json", false, "print what was found and written for a program")
}

func (i *initiation) run(c *cobra.Command, _ []string) error {
	for _, q := range initial.Questions() {
		i.given[q.Flag] = c.Flags().Changed(q.Flag)
	}
	i.useKey = c.Flags().Changed("key")
	i.notes, i.screen = c.OutOrStdout(), terminal(c)
	if i.json {
		i.notes = io.Discard
	}
	if err := i.probing.check(); err != nil {
		return err
	}
	for _, p := range initial.Pages() {
		if err := i.page(c, p); err != nil {
			return err
		}
	}
	server, files := i.server(i.answers)
	made, err := create.Write(i.answers, files, i.useKey)
	if invalid, ok := errors.AsType[create.Invalid](err); ok {
		fmt.Fprintln(c.OutOrStdout(), invalid)
		return exitError(role.Invalid)
	}
	if err != nil {
		return failure{err}
	}
	return i.report(c.OutOrStdout(), made, server)
}

// page answers the questions of a page.
func (i *initiation) page(c *cobra.Command, p initial.Page) error {
	if err := initial.Complete(p, &i.answers, i.given); err != nil {
		return err
	}
	switch p {
	case initial.PageFiles: // before anything is asked in vain
		if err := create.Free(i.answers, nil, i.useKey); err != nil {
			return failure{err}
		}
	case initial.PageSources:
		if err := initial.Sourced(i.answers); err != nil {
			return err
		}
		if i.answers.OPCUA != "" {
			return i.ask(c, i.endpoints)
		}
	case initial.PageOPCUAPassword:
		if i.answers.OPCUA == "" {
			return nil
		}
		if err := readLogin(&i.answers.OPCUALogin); err != nil {
			return err
		}
		return i.ask(c, i.session)
	case initial.PageMQTTPassword:
		if i.answers.MQTT == "" {
			return nil
		}
		if err := readLogin(&i.answers.MQTTLogin); err != nil {
			return err
		}
		return i.ask(c, i.broker)
	case initial.PageITPassword:
		return errors.Join(readLogin(&i.answers.MQTTToLogin), readLogin(&i.answers.Reader))
	}
	return nil
}

// ask asks the plant something. What cannot be asked ends it, unless the user goes on.
func (i *initiation) ask(c *cobra.Command, what func(context.Context, *initial.Answers) error) error {
	if i.offline {
		return nil
	}
	err := what(c.Context(), &i.answers)
	switch {
	case err == nil:
		return nil
	case c.Context().Err() != nil || !i.yes:
		return failure{fmt.Errorf("%w; --yes goes on all the same, --offline does not ask; nothing was written", err)}
	}
	fmt.Fprintf(c.ErrOrStderr(), "heliograph: %v; going on without it\n", err)
	return nil
}

// maxPasswordFile bounds what is read of a password file, in bytes.
const maxPasswordFile = 64 << 10

// readLogin reads the password of a login whose file was named.
func readLogin(l *initial.Login) error {
	if l.Name == "" || l.File == "" {
		return nil
	}
	f, err := os.Open(l.File)
	if err != nil {
		return failure{fmt.Errorf("the password of %s: %w: write it into that file, in one line", l.Name, err)}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile))
	if err != nil {
		return failure{fmt.Errorf("the password of %s: %w", l.Name, err)}
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return failure{fmt.Errorf("the password of %s: %s must hold one line", l.Name, l.File)}
	}
	l.Password = string(line)
	return nil
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

func (i *initiation) report(w io.Writer, made create.Result, server initial.Server) error {
	r := initiated{Files: made.Files, Key: made.Key, KeyKept: made.KeyKept, Warnings: []string{},
		Next: initial.Next(i.answers, server), Found: i.found}
	for _, warning := range made.Warnings {
		r.Warnings = append(r.Warnings, fmt.Sprint(warning))
	}
	if i.json {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		out.SetEscapeHTML(false)
		return out.Encode(r)
	}
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
		widest = max(widest, len(s.Command))
	}
	for _, s := range r.Next {
		if s.Why != "" {
			s.Command = fmt.Sprintf("%-*s  # %s", widest, s.Command, s.Why)
		}
		fmt.Fprintln(w, " ", s.Command)
	}
	return nil
}
