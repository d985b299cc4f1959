package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity"
	"heliograph/tools/progress"
)

// folder is how a command finds certificates: in a folder, or where a configuration
// says. A board's card in a reader is a folder like any other.
type folder struct {
	pki, config string
	role        string // tx or rx, once it is opened by a configuration
}

func (f *folder) flags(c *cobra.Command) *cobra.Command {
	c.Flags().StringVar(&f.pki, "pki", "", "folder of certificates (own/, trusted/, rejected/, …)")
	c.Flags().StringVar(&f.config, "config", "", "configuration that names the folder")
	c.MarkFlagsMutuallyExclusive("pki", "config")
	c.MarkFlagsOneRequired("pki", "config")
	return c
}

// open opens the store. Only cert new makes a folder.
func (f *folder) open(stderr io.Writer, app pki.Application) (*pki.Store, error) {
	dir := f.pki
	if f.config != "" {
		h, err := holderOf(f.config)
		if err != nil {
			return nil, err
		}
		dir, f.role = h.pki, strings.TrimPrefix(h.role, "helio")
	}
	if _, err := os.Stat(dir); err != nil && app.URI == "" {
		return nil, fmt.Errorf("no certificates in %s: make one with \"%s\"", dir, f.newCommand())
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return pki.Open(pki.Config{Directory: dir, Application: app, Log: log})
}

// newCommand is the command that makes a certificate in the folder.
func (f *folder) newCommand() string {
	if f.config != "" {
		return "heliograph cert new --config " + f.config
	}
	return "heliograph cert new --pki " + f.pki + " --role tx|rx --pair NAME"
}

func trustCommand() *cobra.Command {
	var f folder
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "List all certificates: own, trusted, rejected", Args: cobra.NoArgs,
		Example: "  heliograph trust list --config tx.toml",
		RunE: failing(func(c *cobra.Command, _ []string) error {
			s, err := f.open(c.ErrOrStderr(), pki.Application{})
			if err != nil {
				return err
			}
			if asJSON {
				return printObject(c.OutOrStdout(), map[string]any{"certificates": listOf(s.List(), certificateOf)})
			}
			return printEntries(c.OutOrStdout(), s.List())
		}),
	}
	jsonFlag(list, &asJSON)
	var users bool
	add := &cobra.Command{
		Use: "add THUMBPRINT|FILE", Args: cobra.ExactArgs(1),
		Example: "  heliograph trust add --config tx.toml 5821B46747FD\n" +
			"  heliograph trust add --config rx.toml --users ann.der",
		Short: "Trust a rejected certificate, by thumbprint (first 8 hex digits suffice), or one in a file",
		RunE: failing(func(c *cobra.Command, args []string) error {
			s, err := f.open(c.ErrOrStderr(), pki.Application{})
			if err != nil {
				return err
			}
			e, err := addTrust(s, args[0], users)
			if err := printTrust(c, "trusted within two seconds", e, err); err != nil {
				return err
			}
			for _, obstacle := range s.Obstacles(e.Certificate, f.role, users) {
				fmt.Fprintf(c.OutOrStdout(), "note: %s\n", obstacle)
			}
			return nil
		}),
	}
	add.Flags().BoolVar(&users, "users", false, "it is a person's: trust it for logging in")
	remove := &cobra.Command{
		Use: "remove THUMBPRINT", Short: "Trust a certificate no longer; its connections are closed",
		Args: cobra.ExactArgs(1), Example: "  heliograph trust remove --config rx.toml 5821B46747FD",
		RunE: failing(func(c *cobra.Command, args []string) error {
			s, err := f.open(c.ErrOrStderr(), pki.Application{})
			if err != nil {
				return err
			}
			e, err := s.Distrust(args[0])
			return printTrust(c, "no longer trusted", e, err)
		}),
	}
	return group("trust", "Decide whose certificates a board trusts", f.flags(list), f.flags(add), f.flags(remove))
}

// addTrust takes a file if there is one of that name, else a thumbprint.
func addTrust(s *pki.Store, what string, users bool) (pki.Entry, error) {
	raw, err := config.ReadFile(what)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pki.Entry{}, err
	}
	if err != nil {
		digits := strings.NewReplacer(":", "", " ", "").Replace(what)
		if strings.Trim(strings.ToLower(digits), "0123456789abcdef") != "" || len(digits) < 8 {
			return pki.Entry{}, fmt.Errorf("%q is neither a file, which was not found, nor at least 8 hex digits of a "+
				"thumbprint", what)
		}
		e, err := s.Trust(digits, users)
		if err != nil {
			err = fmt.Errorf("%w; \"heliograph trust list\" shows them", err)
		}
		return e, err
	}
	if block, _ := pem.Decode(raw); block != nil {
		raw = block.Bytes
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		return pki.Entry{}, fmt.Errorf("%s holds no certificate: %v", what, err)
	}
	return s.TrustCertificate(c, users)
}

func printTrust(c *cobra.Command, what string, e pki.Entry, err error) error {
	if err == nil {
		fmt.Fprintf(c.OutOrStdout(), "%s %s: %s\n", e.Thumbprint, subject(e.Certificate), what)
	}
	return err
}

// subject is a certificate's without what would disturb a terminal.
func subject(c *x509.Certificate) string {
	return strings.Trim(fmt.Sprintf("%q", c.Subject.String()), `"`)
}

func printEntries(w io.Writer, list []pki.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "KIND\tTHUMBPRINT\tUNTIL\tSUBJECT")
	for _, e := range list {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", e.Kind, e.Thumbprint, e.Certificate.NotAfter.Format(time.DateOnly),
			subject(e.Certificate))
	}
	return t.Flush()
}

// certificate is one for a program.
type certificate struct {
	Kind       pki.Kind  `json:"kind"`
	Thumbprint string    `json:"thumbprint"`
	Subject    string    `json:"subject"`
	NotBefore  time.Time `json:"not_before"`
	Expires    time.Time `json:"expires"`
	URIs       []string  `json:"uris"`
	Hosts      []string  `json:"hosts"`
}

func certificateOf(e pki.Entry) certificate {
	x := e.Certificate
	return certificate{Kind: e.Kind, Thumbprint: e.Thumbprint, Subject: x.Subject.String(), NotBefore: x.NotBefore,
		Expires: x.NotAfter, URIs: listOf(x.URIs, (*url.URL).String),
		Hosts: append(append([]string{}, x.DNSNames...), addresses(x)...)}
}

func certCommand() *cobra.Command {
	var f folder
	var asJSON bool
	show := &cobra.Command{
		Use: "show", Short: "Show the board's own certificate", Args: cobra.NoArgs,
		Example: "  heliograph cert show --config rx.toml",
		RunE: failing(func(c *cobra.Command, _ []string) error {
			own, err := f.own(c)
			if err != nil {
				return err
			}
			x, w := own.Certificate, c.OutOrStdout()
			if asJSON {
				return printObject(w, certificateOf(pki.Entry{Kind: pki.KindOwn, Thumbprint: pki.Thumbprint(x.Raw),
					Certificate: x}))
			}
			fmt.Fprintf(w, "subject      %s\nthumbprint   %s\nvalid        %s to %s\n", subject(x),
				pki.Thumbprint(x.Raw), x.NotBefore.Format(time.DateOnly), x.NotAfter.Format(time.DateOnly))
			for _, u := range x.URIs {
				fmt.Fprintf(w, "application  %s\n", u)
			}
			fmt.Fprintf(w, "hosts        %s\n", strings.Join(append(x.DNSNames, addresses(x)...), ", "))
			return nil
		}),
	}
	jsonFlag(show, &asJSON)
	export := &cobra.Command{
		Use: "export FILE", Short: "Write the board's own certificate to FILE, as DER or, for a .pem, as PEM",
		Args: cobra.ExactArgs(1), Example: "  heliograph cert export --config tx.toml heliotx.der",
		RunE: failing(func(c *cobra.Command, args []string) error {
			own, err := f.own(c)
			if err != nil {
				return err
			}
			return writeDER(args[0], pemCertificate, own.Certificate.Raw)
		}),
	}
	csr := &cobra.Command{
		Use: "csr FILE", Args: cobra.ExactArgs(1), Example: "  heliograph cert csr --config rx.toml heliorx.csr",
		Short: "Write a request for a CA to FILE, for the board's key and the names in its certificate",
		RunE: failing(func(c *cobra.Command, args []string) error {
			own, err := f.own(c)
			if err != nil {
				return err
			}
			request, err := own.Request(applicationOf(own.Certificate))
			if err != nil {
				return err
			}
			return writeDER(args[0], pemRequest, request)
		}),
	}
	return group("cert", "Show, make and export a board's own certificate", f.flags(show), newCertificate(),
		f.flags(export), f.flags(csr))
}

// newCertificate makes a certificate, or another one in its place.
func newCertificate() *cobra.Command {
	var f folder
	var role, pair string
	var hosts []string
	c := f.flags(&cobra.Command{
		Use: "new", Short: "Make a key and a certificate; a certificate that is there is replaced, and peers must " +
			"trust the new one", Args: cobra.NoArgs,
		Example: "  heliograph cert new --config rx.toml --host gateway.example.org\n" +
			"  heliograph cert new --pki pki --role rx --pair press-hall",
		RunE: failing(func(c *cobra.Command, _ []string) error {
			dir := f.pki
			if f.config != "" {
				h, err := holderOf(f.config)
				if err != nil {
					return err
				}
				dir, role, pair = h.pki, strings.TrimPrefix(h.role, "helio"), h.pair
			}
			if pair == "" || role != "tx" && role != "rx" {
				return misuse{errors.New("whose certificate? Say --config FILE, or --role tx|rx with --pair NAME")}
			}
			app := identity.Application(role, pair)
			app.Hosts = append(hosts, app.Hosts...)
			before, err := f.open(c.ErrOrStderr(), pki.Application{})
			had := err == nil && before.Own() != nil
			leave := leaveToOwner(dir)
			var own *pki.Own
			err = during(c, "making the key", func(l *progress.Line) error {
				s, err := f.open(l.Writer(c.ErrOrStderr()), app)
				if err != nil {
					return err
				}
				if own = s.Own(); had {
					own, err = s.Renew()
				}
				return err
			})
			if err != nil {
				return err
			}
			if err := leave(); err != nil {
				return fmt.Errorf("leaving the files to their owner: %w", err)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s %s\n", pki.Thumbprint(own.Certificate.Raw), subject(own.Certificate))
			return nil
		}),
	})
	c.Flags().StringVar(&role, "role", "", "tx or rx")
	c.Flags().StringVar(&pair, "pair", "", "name of the pair, as in the configuration")
	c.Flags().StringSliceVar(&hosts, "host", nil, "name or address by which clients reach the board; may be repeated")
	return c
}

func (f *folder) own(c *cobra.Command) (*pki.Own, error) {
	s, err := f.open(c.ErrOrStderr(), pki.Application{})
	if err != nil {
		return nil, err
	}
	if s.Own() == nil {
		return nil, fmt.Errorf("there is no certificate yet: make one with \"%s\"", f.newCommand())
	}
	return s.Own(), nil
}

func addresses(c *x509.Certificate) (list []string) {
	for _, a := range c.IPAddresses {
		list = append(list, a.String())
	}
	return list
}

// applicationOf is what a certificate says.
func applicationOf(c *x509.Certificate) pki.Application {
	a := pki.Application{Name: c.Subject.CommonName, Hosts: append(c.DNSNames, addresses(c)...)}
	if len(c.URIs) > 0 {
		a.URI = c.URIs[0].String()
	}
	if len(c.Subject.Organization) > 0 {
		a.Organization = c.Subject.Organization[0]
	}
	return a
}
