package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
	"heliograph/firmware/opcua/pki"
	"heliograph/firmware/platform/identity/selfsigned"
	"heliograph/tools/accept"
	"heliograph/tools/accept/session"
	"heliograph/tools/progress"
	"heliograph/tools/watch"
)

// acceptRun is what the flags of accept say.
type acceptRun struct {
	config, rx, out            string
	user, passwordFile, caFile string
	trusted                    []string
	minutes                    float64
	probes                     int
	skipCarrier, json          bool
	length                     time.Duration // hidden: instead of minutes
	asked                      string        // host:port that answers: of rx, or of config
}

// Our own bounds.
const (
	leastMinutes = 0.1
	mostMinutes  = 7 * 24 * 60
	mostProbes   = 100_000
)

func acceptCommand() *cobra.Command {
	a := &acceptRun{}
	c := &cobra.Command{
		Use:   "accept --config FILE -o REPORT.html",
		Short: "Measure the link, prove that it is one-way, and write a signed report",
		Long: "Measures at heliorx, while it runs: loss, bursts, repairs, delay. Then it sends probes from RX\n" +
			"towards TX, by each means that the medium has, and waits for TX's own counters to cross: anything\n" +
			"that TX has received is a failure. Then you pull the fibre for 10 s, and TX must have gone on\n" +
			"unchanged. It needs nothing from the plant's side. Run it on RX's machine as root, or the probes\n" +
			"are recorded as not done.\n\n" +
			"With --rx it measures a board, from any PC. The board sends the probes, 100 of each, when you press\n" +
			"a key at its console; you are asked to.\n\n" +
			"RX signs what it measures, with the key of its OPC UA identity, and the figures of the report\n" +
			"follow from that. The report is REPORT.html with REPORT.json beside it. With --config the same key\n" +
			"signs the report as a whole, too. \"accept verify\" checks all of it.\n\n" +
			"The exit code is 0 for PASS and PASS WITH REMARKS, 1 for FAIL.",
		Example: "  heliograph accept --config rx.toml --minutes 30 -o hall.html\n" +
			"  heliograph accept --rx https://ann@10.0.0.3:9464 --password-file password -o hall.html\n" +
			"  heliograph accept verify hall.json",
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case len(args) > 0 && filepath.Ext(args[0]) == ".toml":
				return fmt.Errorf("%q is not a command: write --config %[1]s", args[0])
			case len(args) > 0:
				return unknown(c, args[0])
			}
			return nil
		},
		RunE: a.run,
	}
	f := c.Flags()
	f.StringVar(&a.config, "config", "", "`FILE` of heliorx on this machine")
	f.StringVar(&a.rx, "rx", "", "`ADDRESS` of another heliorx's status page, as of the command watch")
	f.StringVarP(&a.out, "output", "o", "", "`REPORT.html` to write; the JSON beside it")
	f.Float64Var(&a.minutes, "minutes", 10, "how long to measure")
	f.DurationVar(&a.length, "length", 0, "instead of --minutes")
	_ = f.MarkHidden("length") // it exists
	f.IntVar(&a.probes, "probes", 100, "probes of each kind towards TX; 0 sends none")
	f.BoolVar(&a.skipCarrier, "skip-carrier-test", false, "do not ask for the fibre to be pulled; recorded as not done")
	f.StringVar(&a.user, "user", "", "user at the status page of --config")
	f.StringVar(&a.passwordFile, "password-file", "", "`FILE` with the user's password, on one line")
	f.StringVar(&a.caFile, "ca-file", "", "PEM `FILE` of the authorities for https:// (default: the system's)")
	f.StringArrayVar(&a.trusted, "trust", nil, "`SHA-256` of a board's own certificate, which needs no authority")
	f.BoolVar(&a.json, "json", false, "print the report's JSON")
	c.AddCommand(acceptVerifyCommand())
	return c
}

func (a *acceptRun) run(c *cobra.Command, _ []string) error {
	if err := a.check(); err != nil {
		return err
	}
	certificates, err := watch.ParseTrusted(a.trusted)
	if err != nil {
		return fmt.Errorf("--trust: %w", err)
	}
	var address watch.Address
	if a.rx != "" {
		if address, err = watch.ParseAddress(a.rx); err != nil {
			return err
		}
	}
	var cfg config.RX
	if a.config != "" {
		var warnings []config.Warning
		if cfg, warnings, err = config.LoadRX(a.config); err != nil {
			if _, other := errors.AsType[config.OtherRole](err); other {
				return fmt.Errorf("--config %w: the link is measured where it ends", err)
			}
			return checked{}.report(c, []string{a.config}, warnings, err)
		}
	}
	return failing(func(c *cobra.Command, _ []string) error {
		if a.rx == "" {
			if address, err = ownAddress(cfg, a.user); err != nil {
				return err
			}
			certificates = append(certificates, ownStatusCertificate(cfg)...)
		}
		login, err := watchLogin(c, []watch.Address{address}, a.passwordFile, a.caFile)
		if err != nil {
			return err
		}
		login.Trusted = certificates
		s := session.Config{Tool: version, Length: a.length}
		s.Get = func(ctx context.Context) ([]byte, error) {
			body, err := watch.Get(ctx, address, login)
			if err != nil && !strings.Contains(err.Error(), address.Name) {
				err = fmt.Errorf("%s: %w", address.Name, err)
			}
			return body, err
		}
		s.Statement = func(ctx context.Context, nonce string) ([]byte, error) {
			body, err := watch.Statement(ctx, address, login, nonce)
			return body, statementError(err)
		}
		_, _ = rand.Read(s.Challenge[:]) // never fails
		a.asked = address.Name
		return a.accept(c, cfg, s)
	})(c, nil)
}

// statementError is an error of RX's status port as the session knows it.
func statementError(err error) error {
	r, ok := errors.AsType[*watch.Refused](err)
	switch {
	case !ok:
		return err
	case r.Code == http.StatusNotFound && !strings.Contains(r.Said, "signed"):
		return session.NoStatement{Reason: "this heliorx is of an older release, which does not sign"}
	case r.Code == http.StatusNotFound, r.Code == http.StatusServiceUnavailable:
		return session.NoStatement{Reason: r.Said}
	case r.Code == http.StatusTooManyRequests:
		return session.Busy{After: r.After}
	}
	return err
}

// check returns what is wrong with the flags.
func (a *acceptRun) check() error {
	switch {
	case a.config == "" && a.rx == "":
		return errors.New("give --config FILE of heliorx on this machine, or --rx ADDRESS of another one")
	case a.out == "" || filepath.Ext(a.out) != ".html":
		return errors.New("-o: name the report, such as press-hall.html")
	case !(a.minutes >= leastMinutes && a.minutes <= mostMinutes): // NaN is neither
		return fmt.Errorf("--minutes: must be from %v to %d", leastMinutes, mostMinutes)
	case a.probes < 0 || a.probes > mostProbes:
		return fmt.Errorf("--probes: must be from 0 to %d", mostProbes)
	case a.length < 0:
		return errors.New("--length: must not be negative")
	case a.user != "" && a.rx != "":
		return errors.New("--user is for --config; write https://USER@ADDRESS after --rx")
	}
	if a.length == 0 {
		a.length = time.Duration(a.minutes * float64(time.Minute))
	}
	return nil
}

// jsonPath is the file beside the page.
func (a *acceptRun) jsonPath() string { return strings.TrimSuffix(a.out, ".html") + ".json" }

// accept measures, writes the files, and prints the findings.
func (a *acceptRun) accept(c *cobra.Command, cfg config.RX, s session.Config) error {
	if err := a.writable(); err != nil {
		return err
	}
	own, err := a.signer(c)
	if err != nil {
		return err
	}
	s.OneMachine = a.config != "" && cfg.Link.OnLoopback()
	switch {
	case a.probes == 0:
		s.NoProbe = accept.Reverse{Reason: "--probes 0 was given", Cure: "leave out --probes"}
	case a.rx == "":
		s.Probe = func(ctx context.Context) accept.Reverse { return sendProbes(ctx, cfg.Link, a.probes) }
	}
	if a.skipCarrier {
		s.NoCarrier = "--skip-carrier-test was given"
	}
	r, err := shown(c, s)
	switch {
	case err != nil && c.Context().Err() != nil:
		return errors.New("accept: interrupted, and nothing was written")
	case err != nil:
		return fmt.Errorf("accept: %w", err)
	}
	if a.config != "" && r.Pair != cfg.Pair {
		return fmt.Errorf("accept: heliorx at %s is of pair %q, and %s of %q: name its own file, or the right --rx",
			a.asked, r.Pair, a.config, cfg.Pair)
	}
	if own == nil && r.Evidence == nil {
		fmt.Fprintln(c.ErrOrStderr(), "accept: the report is not signed:",
			cmp.Or(r.Unsigned, "--config names the key"))
	}
	signed, err := accept.Sign(r, own)
	if err != nil {
		return err
	}
	if err := writeNew(a.out, signed.Page, 0o644); err != nil {
		return err
	}
	if err := writeNew(a.jsonPath(), signed.JSON, 0o644); err != nil {
		return err
	}
	if a.json {
		_, err = c.OutOrStdout().Write(signed.JSON)
	} else {
		err = printFindings(c.OutOrStdout(), r, a.out, a.jsonPath())
	}
	if err == nil && r.Verdict == accept.VerdictFail {
		err = exitError(1)
	}
	return err
}

// shown runs a session, and shows what happens.
func shown(c *cobra.Command, s session.Config) (r *accept.Report, err error) {
	err = during(c, "measuring", func(l *progress.Line) error {
		notes := l.Writer(c.ErrOrStderr())
		s.Say = func(what string) { fmt.Fprintln(notes, "accept:", what) }
		s.Progress = func(done float64) { l.Set("measuring: %.0f %%", 100*done) }
		s.Wait = func(what string, left time.Duration) { l.SetTimed("%s: %.0f s", what, left.Seconds()) }
		r, err = session.Run(c.Context(), s)
		return err
	})
	return r, err
}

// writable returns why the report could not be written, before anything is measured.
func (a *acceptRun) writable() error {
	for _, path := range []string{a.out, a.jsonPath()} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s exists: a report is never overwritten, choose another name", path)
		}
	}
	trial, err := os.CreateTemp(filepath.Dir(a.out), ".accept-")
	if err != nil {
		if cause, ok := errors.AsType[*fs.PathError](err); ok {
			err = cause.Err
		}
		return fmt.Errorf("-o %s: no file can be made in %s: %w", a.out, filepath.Dir(a.out), err)
	}
	return errors.Join(trial.Close(), os.Remove(trial.Name()))
}

// signer returns the key that signs the whole report; nil without a configuration.
func (a *acceptRun) signer(c *cobra.Command) (*pki.Own, error) {
	if a.config == "" {
		return nil, nil
	}
	f := folder{config: a.config}
	return f.own(c)
}

// ownAddress is where the status server of a configuration answers on this machine.
func ownAddress(cfg config.RX, user string) (watch.Address, error) {
	listen := cfg.Status.Listen
	if listen == "" {
		return watch.Address{}, errors.New("accept: heliorx measures the link, and shows it at its status port: set " +
			"listen in [status] to \"127.0.0.1:9465\", and restart heliorx")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return watch.Address{}, err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	at := net.JoinHostPort(host, port)
	if user != "" {
		at = user + "@" + at
	}
	if cfg.Status.Secure {
		return watch.ParseAddress("https://" + at)
	}
	return watch.ParseAddress("http://" + at)
}

// ownStatusCertificate is the SHA-256 of the certificate of the status server, where it has one.
func ownStatusCertificate(cfg config.RX) []string {
	file := cfg.Status.TLS.Certificate
	if file == "" {
		file, _ = selfsigned.Files(cfg.PKI, "status")
	}
	text, err := config.ReadFile(file)
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		return nil
	}
	sum := sha256.Sum256(block.Bytes)
	return []string{hex.EncodeToString(sum[:])}
}

// printFindings prints the report in short.
func printFindings(out io.Writer, r *accept.Report, files ...string) error {
	for _, f := range r.Findings {
		fmt.Fprintf(out, "%-8s  %s: %s\n", f.Level, f.Subject, f.Text)
		if f.Do != "" {
			fmt.Fprintf(out, "          do: %s\n", f.Do)
		}
	}
	fmt.Fprintf(out, "recommended: %s\n%s\n", r.Recommendation.Text, r.Verdict)
	_, err := fmt.Fprintf(out, "written: %s\n", strings.Join(files, ", "))
	return err
}
