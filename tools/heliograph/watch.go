package main

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/tools/progress"
	"heliograph/tools/watch"
)

// passwordVariable is of the environment; where boards ask for users.
const passwordVariable = "HELIOGRAPH_PASSWORD"

func watchCommand() *cobra.Command {
	var once, asJSON bool
	var passwordFile, caFile string
	var trusted []string
	c := &cobra.Command{
		Use:   "watch ADDRESS…",
		Short: "Show how many pairs stand, the worst first: can their numbers be trusted, and if not, why",
		Long: "Reads the status page of each board, every 2 seconds; of a pair heliorx's says most. ADDRESS is\n" +
			"HOST or HOST:PORT (port 9464 without), or a URL: https://ann@rx-1:9464 logs in as ann. An address\n" +
			"that does not answer is a row with the reason. Enter shows all of one pair. Where the output is not\n" +
			"a terminal, a line is printed for each change; with --json, all rows as an array on one line.\n\n" +
			"The password is that of all users in addresses: from --password-file, from the environment\n" +
			"(HELIOGRAPH_PASSWORD), or asked for. --once ends with code 0 when all numbers can be trusted, else 1.",
		Example: "  heliograph watch rx-1:9464 rx-2:9464\n" +
			"  heliograph watch --once --json https://ann@rx-1:9464 --password-file password --ca-file ca.pem",
		Args: cobra.MinimumNArgs(1),
	}
	f := c.Flags()
	f.BoolVar(&once, "once", false, "ask once, print a table, and end")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&passwordFile, "password-file", "", "`FILE` with the password of the users, on one line")
	f.StringVar(&caFile, "ca-file", "", "PEM `FILE` of the authorities for https:// (default: the system's)")
	f.StringArrayVar(&trusted, "trust", nil, "`SHA-256` of a board's own certificate, which needs no authority")
	c.RunE = func(c *cobra.Command, args []string) error {
		var list []watch.Address
		for _, arg := range args {
			a, err := watch.ParseAddress(arg)
			if err != nil {
				return err
			}
			list = append(list, a)
		}
		certificates, err := watch.ParseTrusted(trusted)
		if err != nil {
			return fmt.Errorf("--trust: %w", err)
		}
		return failing(func(c *cobra.Command, _ []string) error {
			login, err := watchLogin(c, list, passwordFile, caFile)
			if err != nil {
				return err
			}
			login.Trusted = certificates
			return runWatch(c, watch.New(list, login), once, asJSON)
		})(c, nil)
	}
	return c
}

func runWatch(c *cobra.Command, w *watch.Watcher, once, asJSON bool) error {
	out := c.OutOrStdout()
	switch {
	case once:
		var rows []watch.Row
		_ = during(c, "waiting for the boards", func(*progress.Line) error {
			rows = w.Once(c.Context())
			return nil
		})
		if c.Context().Err() != nil { // the rows lack boards, which says nothing of them
			return errors.New("interrupted: not all boards were asked")
		}
		print := func() error { return watch.Table(out, rows, columns(out), time.Now()) }
		if asJSON {
			print = func() error { return watch.JSON(out, rows) }
		}
		if err := print(); err != nil {
			return err
		}
		if !watch.Trusted(rows) {
			return exitError(1)
		}
		return nil
	case asJSON:
		return watch.JSONLines(c.Context(), w, out)
	case onTerminal(out):
		return watch.Show(c.Context(), w)
	}
	return watch.Lines(c.Context(), w, out)
}

// watchLogin is how boards are asked; the password is asked for when an address has a user
// and nothing else gives it.
func watchLogin(c *cobra.Command, list []watch.Address, passwordFile, caFile string) (watch.Login, error) {
	l := watch.Login{Password: os.Getenv(passwordVariable)}
	if caFile != "" {
		pem, err := config.ReadFile(caFile)
		if err != nil {
			return l, err
		}
		l.Roots = x509.NewCertPool()
		if !l.Roots.AppendCertsFromPEM(pem) {
			return l, fmt.Errorf("%s has no certificate in PEM", caFile)
		}
	}
	if passwordFile != "" {
		content, err := config.ReadFile(passwordFile)
		if err != nil {
			return l, err
		}
		l.Password = strings.TrimRight(string(content), "\r\n")
	}
	user := ""
	for _, a := range list {
		user = cmp.Or(user, a.User)
	}
	if user == "" || l.Password != "" {
		return l, nil
	}
	f, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return l, errors.New("no password for user " + user + ": give --password-file or " + passwordVariable)
	}
	var err error
	l.Password, err = ask(f, c.ErrOrStderr(), "Password of "+user+": ")
	return l, err
}
