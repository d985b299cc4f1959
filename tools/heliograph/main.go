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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"heliograph/firmware/config"
	"heliograph/firmware/platform/role"
)

// version is set at build time.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), ending()...)
	defer stop()
	context.AfterFunc(ctx, func() {
		// When a terminal is closed, its shell and the kernel send SIGHUP: the second one must not cut off the end.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		stop() // a second one of the other signals ends what does not listen to the first
	})
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// ending are the signals that end a command, which then leaves no secret behind. SIGHUP, of a
// terminal that is closed, is none below nohup, which has it ignored.
func ending() []os.Signal {
	list := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) {
		list = append(list, syscall.SIGHUP)
	}
	return list
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
	called, err := c.ExecuteContextC(ctx)
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	failed, ok := errors.AsType[failure](err)
	if ok && invalid(err) {
		fmt.Fprintln(stderr, "heliograph:", failed.error)
		return role.Invalid
	}
	if _, other := errors.AsType[config.OtherRole](err); ok && !other {
		fmt.Fprintln(stderr, "heliograph:", failed.error)
		return role.Failure
	}
	if err != nil {
		fmt.Fprintf(stderr, "heliograph: %s\nTry \"%s --help\".\n", misused(called, err), called.CommandPath())
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

		PersistentPreRunE: whole,
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

// invalid reports whether an error is of a configuration, which has faults or cannot be read.
// The other role's file was named by mistake, and needs no correction.
func invalid(err error) bool {
	_, other := errors.AsType[config.OtherRole](err)
	_, faults := errors.AsType[config.Faults](err)
	_, unread := errors.AsType[config.Unread](err)
	return !other && (faults || unread)
}

// misuse is an error of how a command was called, found in the command.
type misuse struct{ error }

func (m misuse) Unwrap() error { return m.error }

// whole refuses values and arguments that are empty: a variable of a script that is not set, and
// no wish. The answer of init that leaves something out is "none".
func whole(c *cobra.Command, args []string) (err error) {
	if strings.HasPrefix(c.Name(), cobra.ShellCompRequestCmd) {
		return nil
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if err == nil && empty(f.Value) {
			err = emptyFlag(f.Name)
		}
	})
	if err == nil && slices.Contains(args, "") {
		err = errors.New("an argument is empty")
		if how := c.UseLine(); !strings.Contains(how, "\n") {
			err = fmt.Errorf("an argument is empty: write %s", how)
		}
	}
	return err
}

// empty reports whether a flag was given an empty value, or an empty one among several.
func empty(v pflag.Value) bool {
	if several, ok := v.(pflag.SliceValue); ok {
		list := several.GetSlice()
		return len(list) == 0 || slices.Contains(list, "")
	}
	return v.Type() == "string" && v.String() == ""
}

func emptyFlag(name string) error {
	return fmt.Errorf("--%s is empty: give it a value, or leave it out", name)
}

// misused says how a command was called wrongly, and how it is called.
func misused(c *cobra.Command, err error) string {
	if wrong, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		f := wrong.GetFlag()
		if what := kinds[f.Value.Type()]; what != "" {
			return fmt.Sprintf("--%s: %q is not %s", f.Name, wrong.GetValue(), what)
		}
		return fmt.Sprintf("--%s: %v", f.Name, errors.Unwrap(err))
	}
	text := err.Error()
	if said := inGroups(text); said != "" {
		return said
	}
	calledWrongly := strings.HasPrefix(text, "unknown command ")
	if said := inNumber(text); said != "" {
		text, calledWrongly = said, true
	}
	if argument, ok := strings.CutPrefix(text, "unknown command "); ok && !c.HasSubCommands() {
		argument, _, _ = strings.Cut(argument, " for ")
		text = argument + ": no argument is expected here"
	}
	if names, ok := strings.CutPrefix(text, "required flag(s) "); ok {
		text = strings.NewReplacer(`"`, "", ", ", ", --").Replace("--"+strings.TrimSuffix(names, " not set")) +
			" must be given"
		calledWrongly = true
	}
	if names, ok := strings.CutPrefix(text, "at least one of the flags in the group ["); ok {
		names, _, _ = strings.Cut(names, "]")
		text = "--" + strings.ReplaceAll(names, " ", " or --") + " must be given"
		calledWrongly = true
	}
	if how := c.UseLine(); calledWrongly && !c.HasSubCommands() && !strings.Contains(how, "\n") {
		return fmt.Sprintf("%s: write %s", text, how)
	}
	return text
}

// numberFault is what cobra says of too few or too many arguments.
var numberFault = regexp.MustCompile(`^(?:accepts|requires) (?:at least |at most |between )?(\d+)(?: and \d+)? arg\(s\), ` +
	`(?:only )?received (\d+)$`)

// inNumber says that there are too few or too many arguments, "" where that is not the fault.
func inNumber(text string) string {
	found := numberFault.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	want, _ := strconv.Atoi(found[1]) // digits; of two bounds the lower
	got, _ := strconv.Atoi(found[2])
	switch {
	case got > want:
		return "there are too many arguments"
	case got == 0 && want == 1:
		return "the argument is missing"
	case got == 0:
		return "the arguments are missing"
	}
	return "an argument is missing"
}

// groupFault is what cobra says of flags that exclude or need each other.
var groupFault = regexp.MustCompile(`^if any flags in the group \[.*\] are set (none of the others can be|they must ` +
	`all be set); (?:missing )?\[(.*)\]`)

// inGroups says which flags exclude or need each other, "" where that is not the fault.
func inGroups(text string) string {
	found := groupFault.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	names := "--" + strings.ReplaceAll(found[2], " ", " and --")
	if strings.HasPrefix(found[1], "none") {
		return names + " do not go together: leave one out"
	}
	return names + " must be given as well"
}

// kinds is what a flag's value has to be, by the type that pflag calls it.
var kinds = map[string]string{
	"bool": "true or false", "int": "a whole number", "uint": "a whole number", "uint64": "a whole number",
	"uint16": "a whole number up to 65535", "float64": "a number", "duration": `a duration such as "30s" or "5m"`,
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
		_, said := errors.AsType[exitError](err)
		if _, called := errors.AsType[misuse](err); err == nil || said || called {
			return err
		}
		return failure{err}
	}
}
