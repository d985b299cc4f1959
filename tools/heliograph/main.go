// Program heliograph is the engineer's tool on a PC: it checks configurations,
// makes keys and users, and shows the whole thing at work.
//
// Each command stands in a file of its own and is listed in root. Exit codes
// are those of package role: 0 ended as asked, 1 run-time failure, 2 usage, 78
// invalid configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"heliograph/firmware/platform/role"
)

// version is set at build time.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends what does not listen to the first
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// exitError carries the exit code of a command that has said everything.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// failure is an error of a command that was called properly.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := root()
	c.SetArgs(args)
	c.SetIn(stdin)
	c.SetOut(stdout)
	c.SetErr(stderr)
	err := c.ExecuteContext(ctx)
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	if failed, ok := errors.AsType[failure](err); ok {
		fmt.Fprintln(stderr, "heliograph:", failed.error)
		return role.Failure
	}
	if err != nil {
		fmt.Fprintf(stderr, "heliograph: %v\nTry \"heliograph --help\".\n", err)
		return role.Usage
	}
	return role.OK
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "heliograph",
		Short:         "The engineer's tool for a pair of heliograph boards",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version,
		Args:          cobra.ArbitraryArgs, // RunE says what is wrong with them
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknown(c, args[0])
			}
			return c.Help()
		},
	}
	c.SetVersionTemplate("{{.Name}} {{.Version}}\n") // as the command version does
	c.AddCommand(acceptCommand(), benchCommand(), boardDemoCommand(), certCommand(), checkCommand(), consoleCommand(),
		crawlCommand(), decodeCommand(), demoCommand(), doctorCommand(), epochCommand(), flashCommand(), imageCommand(),
		initCommand(), keyCommand(), selftestCommand(), syslogCommand(), trustCommand(), updateCommand(), userCommand(),
		versionCommand(), watchCommand())
	c.AddCommand(completionCommand(), manCommand(), plantCommand())
	complete(c)
	return c
}

// unknown says that a command does not have another, and which one may be meant.
func unknown(c *cobra.Command, name string) error {
	c.SuggestionsMinimumDistance = 2
	if list := c.SuggestionsFor(name); len(list) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", name, strings.Join(list, " or "))
	}
	return fmt.Errorf("unknown command %q for %q", name, c.CommandPath())
}

// group is a command that only holds others; alone or with an unknown word it
// is a fault of usage.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, RunE: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknown(c, args[0])
		}
		return fmt.Errorf("%q needs a command", c.CommandPath())
	}}
	c.AddCommand(commands...)
	return c
}

// failing wraps what a command does so that its errors are run-time failures
// (exit code 1), while cobra's own stay faults of usage (2).
func failing(f func(c *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := f(c, args)
		if _, said := errors.AsType[exitError](err); err == nil || said {
			return err
		}
		return failure{err}
	}
}
