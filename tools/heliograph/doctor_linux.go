package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/role"
	"heliograph/firmware/platform/text"
	"heliograph/tools/doctor"
	"heliograph/tools/progress"
)

// examined are the options of doctor.
type examined struct {
	config, role, other, user, passwordFile string
	json                                    bool
}

func doctorCommand() *cobra.Command {
	var o examined
	c := &cobra.Command{
		Use:   "doctor --config FILE",
		Short: "Find out why one side does not work, and what cures it",
		Long: "Run it where the role runs, as its user or root. It examines files, state, certificates, ports, link " +
			"and\n" +
			"peers, and names cause and cure of each finding. It changes nothing. While the role runs it asks that " +
			"at\n" +
			"its status port. Exit code 0: no finding, 1: a finding, 78: the configuration has faults.",
		Example: "  heliograph doctor --config tx.toml\n" +
			"  heliograph doctor --config rx.toml --other tx.toml     # and whether both files fit\n" +
			"  heliograph doctor --config tx.toml --json",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.role != "" && o.role != "tx" && o.role != "rx" {
				return fmt.Errorf("--role %q must be tx or rx", o.role)
			}
			if o.passwordFile != "" && o.user == "" {
				return errors.New("--password-file needs --user")
			}
			return o.examine(c)
		},
	}
	f := c.Flags()
	f.StringVar(&o.config, "config", "", "configuration `FILE` of heliotx or heliorx")
	f.StringVar(&o.role, "role", "", "tx or rx (default: found out from the content)")
	f.StringVar(&o.other, "other", "", "configuration `FILE` of the other side, to compare")
	f.StringVar(&o.user, "user", "", "user `NAME` for a status port that asks for one")
	f.StringVar(&o.passwordFile, "password-file", "", "`FILE` with the password (default: asked for)")
	f.BoolVar(&o.json, "json", false, "write the result as JSON")
	_ = c.MarkFlagRequired("config")
	return c
}

func (o examined) examine(c *cobra.Command) error {
	d := doctor.Config{Role: o.role, File: o.config, Other: o.other, User: o.user}
	if d.Role == "" {
		h, _ := holderOf(o.config) // loading says what is wrong with the file
		d.Role = strings.TrimPrefix(h.role, "helio")
	}
	if err := o.sides(d.Role); err != nil {
		return err
	}
	var err error
	if d.Role == "rx" {
		d.RX, d.Warnings, err = config.LoadRX(o.config)
	} else {
		d.TX, d.Warnings, err = config.LoadTX(o.config)
	}
	if err != nil {
		return checked{json: o.json}.report(c, []string{o.config}, nil, err)
	}
	if d.Password, err = o.password(c); err != nil {
		return failure{err}
	}
	if _, err := config.ReadFile(o.other); o.other != "" && err != nil {
		return failure{config.Unread{Err: fmt.Errorf("--other: %w", err)}}
	}
	var result doctor.Result
	_ = during(c, "examining", func(l *progress.Line) error {
		d.Doing = func(what string) { l.Set("examining %s", what) }
		result = doctor.Run(c.Context(), d)
		return nil
	})
	if o.json {
		w := json.NewEncoder(c.OutOrStdout())
		w.SetIndent("", "  ")
		err = w.Encode(result)
	} else {
		printResult(c.OutOrStdout(), result)
	}
	if err != nil {
		return failure{err}
	}
	if len(result.Findings) > 0 {
		return exitError(role.Failure)
	}
	return nil
}

// sides returns which file is not of the role that it was given for.
func (o examined) sides(side string) error {
	other := map[string]string{"tx": "rx", "rx": "tx"}[side]
	switch {
	case o.role != "" && isOf(o.config, other):
		return fmt.Errorf("%s is helio%s's file: leave --role out, or name helio%s's file", o.config, other, side)
	case o.other != "" && isOf(o.other, side):
		return fmt.Errorf("both files are helio%s's: name helio%s's with --other", side, other)
	}
	return nil
}

// isOf reports whether a file is a role's and not of the other one.
func isOf(path, side string) bool {
	load := func() error { _, _, err := config.LoadTX(path); return err }
	if side == "tx" {
		load = func() error { _, _, err := config.LoadRX(path); return err }
	}
	_, other := errors.AsType[config.OtherRole](load())
	return other
}

// password reads the password of the status port.
func (o examined) password(c *cobra.Command) (string, error) {
	if o.user == "" {
		return "", nil
	}
	if o.passwordFile != "" {
		b, err := config.ReadFile(o.passwordFile)
		return strings.TrimRight(string(b), "\r\n"), err
	}
	f, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return readPassword(c.InOrStdin(), c.ErrOrStderr())
	}
	return ask(f, c.ErrOrStderr(), "Password: ")
}

func printResult(w io.Writer, r doctor.Result) {
	runs := "does not run"
	if r.Running {
		runs = "runs"
	}
	fmt.Fprintf(w, "%s: helio%s %s\n", r.Config, r.Role, runs)
	if r.Trust != nil {
		fmt.Fprintln(w, "it says   ", text.Printable(r.Trust.Sentence))
		for _, reason := range r.Trust.Reasons {
			fmt.Fprintln(w, "          ", text.Printable(strings.TrimSpace(reason.Channel+" "+reason.Text)))
		}
	}
	for _, line := range r.Fine {
		fmt.Fprintln(w, "ok       ", text.Printable(line))
	}
	for _, line := range r.Warnings {
		fmt.Fprintln(w, "warning  ", text.Printable(line))
	}
	for _, line := range r.Unchecked {
		fmt.Fprintln(w, "unchecked", text.Printable(line))
	}
	red, plain := "", ""
	if f, ok := w.(*os.File); ok && term.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" {
		red, plain = "\x1b[31m", "\x1b[0m"
	}
	for _, f := range r.Findings {
		fmt.Fprintf(w, "%sFINDING%s   %s: %s\n          cure: %s\n", red, plain, text.Printable(f.Where),
			text.Printable(f.Cause), text.Printable(f.Cure))
	}
	switch n := len(r.Findings); n {
	case 0:
		fmt.Fprintln(w, "no finding")
	case 1:
		fmt.Fprintln(w, "1 finding")
	default:
		fmt.Fprintln(w, n, "findings")
	}
}
