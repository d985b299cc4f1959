// Package role is what the main functions of both roles share: flags, exit
// codes, logging, signals, and the certificate authorities of a system without any.
//
// A role's main is one call:
//
//	os.Exit(role.Main(role.Program{Name: "heliotx", Check: …, Run: …}, os.Args[1:], os.Stdout, os.Stderr))
//
// Standard output carries answers (--version, --check), standard error the log
// and complaints. The package knows neither the configuration nor the tasks of
// a role, and refuses arguments that no flag takes.
package role

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	_ "golang.org/x/crypto/x509roots/fallback" // where the system has no authorities: on a board

	"heliograph/firmware/config"
	"heliograph/firmware/platform/handover"
)

// The exit codes of every program of ours. Invalid is EX_CONFIG of sysexits.h:
// a supervisor sees that starting again does not help.
const (
	OK      = 0  // ended as asked
	Failure = 1  // failed, or found something that it reports
	Usage   = 2  // called with a flag, argument or value that it does not know
	Invalid = 78 // the configuration has faults, each reported with its line, or its file cannot be read
)

// Program is one role.
type Program struct {
	Name    string
	Version string // what --version prints after the name
	// Check loads the configuration and reports warnings and faults.
	Check func(path string) ([]config.Warning, error)
	// Run works until ctx ends. It is called after Check found no fault. A value
	// on hangup is a SIGHUP.
	Run func(ctx context.Context, path string, log *slog.Logger, hangup <-chan os.Signal) error
}

// options are the flags of a role.
type options struct {
	config    string
	check     bool
	version   bool
	logFormat string
	logLevel  slog.Level
	profiles  netip.AddrPort // where to serve profiles; the zero value: nowhere
}

// Main runs a role and returns its exit code.
func Main(p Program, args []string, stdout, stderr io.Writer) int {
	o, err := parse(p.Name, args, stderr)
	refusal, refused, unread := handover.ReadRefusal()
	switch {
	case errors.Is(err, flag.ErrHelp):
		return OK
	case err != nil:
		return Usage
	case o.version:
		fmt.Fprintln(stdout, p.Name, p.Version)
		return OK
	case refused:
		return p.show(refusal, unread, slog.New(o.handler(stderr)))
	case o.config == "":
		fmt.Fprintf(stderr, "%s: --config FILE is missing\n", p.Name)
		return Usage
	}
	warnings, err := p.Check(o.config)
	if o.check {
		return Report(o.config, warnings, err, stdout, stderr)
	}
	log := slog.New(o.handler(stderr))
	for _, w := range warnings {
		log.Warn("configuration", "file", w.File, "line", w.Line, "warning", w.Message)
	}
	if err != nil {
		return Report(o.config, nil, err, stderr, stderr)
	}
	return p.run(o, log)
}

// Flags returns the flags of a role, for its manual.
func Flags(name string) *flag.FlagSet { return new(options).flags(name) }

// flags are those that fill o.
func (o *options) flags(name string) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&o.config, "config", "", "configuration `FILE`")
	flags.BoolVar(&o.check, "check", false, "check the configuration, without any side effect, and end")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	flags.Func("log-level", "`LEVEL` to log: debug, info, warn or error (default info)", func(s string) (err error) {
		o.logLevel, err = parseLevel(s)
		return err
	})
	flags.Func("log-format", "`FORMAT` of it: text or json (default text)", func(s string) error {
		if s != "text" && s != "json" {
			return errors.New("must be text or json")
		}
		o.logFormat = s
		return nil
	})
	flags.Func("pprof", "serve profiles of Go's pprof at `ADDRESS`, 127.0.0.1:PORT or [::1]:PORT (default off)",
		func(s string) (err error) {
			o.profiles, err = parseProfileAddress(s)
			return err
		})
	return flags
}

func parse(name string, args []string, stderr io.Writer) (options, error) {
	o := options{logFormat: "text"}
	flags := o.flags(name)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {} // one line for a fault; the list of flags is for --help
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(stderr)
			fmt.Fprintf(stderr, "Usage of %s:\n", name)
			flags.PrintDefaults()
		} else {
			fmt.Fprintf(stderr, "%s: %v; \"%s --help\" lists the flags\n", name, err, name)
		}
		return o, err
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "%s: %q: no argument is expected here\n", name, flags.Arg(0))
		return o, errors.New("role: surplus argument")
	}
	return o, nil
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, errors.New("must be debug, info, warn or error")
}

func (o options) handler(w io.Writer) slog.Handler {
	options := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "json" {
		return slog.NewJSONHandler(w, options)
	}
	return slog.NewTextHandler(w, options)
}

func (p Program) run(o options, log *slog.Logger) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1) // several at once are one
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	log.Info("starting", "program", p.Name, "version", p.Version, "config", o.config)
	if o.profiles.IsValid() {
		profiles, err := serveProfiles(o.profiles, log)
		if err != nil {
			log.Error("ended", "error", err)
			return Failure
		}
		defer profiles.Close()
	}
	if err := p.Run(ctx, o.config, log, hangup); err != nil {
		log.Error("ended", "error", err)
		return Failure
	}
	log.Info("ended as asked")
	return OK
}

// Report prints what a check found and returns the exit code: faults and
// warnings as FILE:LINE lines to stdout, anything else to stderr. A file that
// cannot be read is an invalid configuration too.
func Report(path string, warnings []config.Warning, err error, stdout, stderr io.Writer) int {
	for _, w := range warnings {
		fmt.Fprintln(stdout, w)
	}
	if err == nil {
		fmt.Fprintf(stdout, "%s: no faults\n", path)
		return OK
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		fmt.Fprintln(stdout, faults)
		return Invalid
	}
	fmt.Fprintln(stderr, err)
	return Invalid
}
