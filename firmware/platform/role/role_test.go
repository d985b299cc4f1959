package role

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"

	"heliograph/firmware/config"
)

func TestExitCodes(t *testing.T) {
	faults := config.Faults{{File: "f.toml", Line: 3, Message: "bad"}}
	warnings := []config.Warning{{File: "f.toml", Line: 2, Message: "odd"}}
	cases := map[string]struct {
		args           []string
		err            error
		run            error
		code           int
		stdout, stderr string // part of each, "" for nothing at all
	}{
		"version":          {args: []string{"--version"}, code: OK, stdout: "heliotx v1\n"},
		"help":             {args: []string{"--help"}, code: OK, stderr: "-log-format"},
		"no config":        {code: Usage, stderr: "--config FILE is missing"},
		"unknown flag":     {args: []string{"--no"}, code: Usage, stderr: "not defined"},
		"surplus argument": {args: []string{"--config", "f", "x"}, code: Usage, stderr: "\"x\": no argument"},
		"log format":       {args: []string{"--log-format", "xml"}, code: Usage, stderr: "must be text or json"},
		"log level": {args: []string{"--log-level", "loud"}, code: Usage,
			stderr: "invalid value \"loud\" for flag -log-level: must be debug, info, warn or error; \"heliotx " +
				"--help\""},
		"flag without its value": {args: []string{"--config"}, code: Usage, stderr: "needs an argument"},
		"pprof elsewhere": {args: []string{"--config", "f", "--pprof", "10.0.0.5:6060"}, code: Usage,
			stderr: "10.0.0.5 is not a loopback address"},
		"check good": {args: []string{"--config", "f.toml", "--check"}, code: OK,
			stdout: "f.toml:2: warning: odd\nf.toml: no faults\n"},
		"check bad": {args: []string{"--config", "f.toml", "--check"}, err: faults, code: Invalid,
			stdout: "f.toml:3: bad\n"},
		"start bad": {args: []string{"--config", "f.toml"}, err: faults, code: Invalid,
			stderr: "f.toml:3: bad\n"},
		"missing file": {args: []string{"--config", "f.toml", "--check"}, err: os.ErrNotExist, code: Invalid,
			stdout: "odd", stderr: "not exist"},
		"ends as asked": {args: []string{"--config", "f.toml"}, code: OK, stderr: "ended as asked"},
		"fails": {args: []string{"--config", "f.toml", "--log-format=json"}, run: errors.New("no light"),
			code: Failure, stderr: `"error":"no light"`},
		"warnings logged":   {args: []string{"--config", "f.toml"}, code: OK, stderr: "line=2 warning=odd"},
		"level hides infos": {args: []string{"--config", "f.toml", "--log-level", "error"}, code: OK},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := Program{Name: "heliotx", Version: "v1",
				Check: func(string) ([]config.Warning, error) { return warnings, c.err },
				Run:   func(context.Context, string, *slog.Logger, <-chan os.Signal) error { return c.run }}
			var stdout, stderr bytes.Buffer
			code := Main(p, c.args, &stdout, &stderr)
			if lines := strings.Count(stderr.String(), "\n"); c.code == Usage && lines != 1 {
				t.Errorf("got %d lines, want one: %s", lines, stderr.String())
			}
			if code != c.code {
				t.Errorf("got exit code %d, want %d", code, c.code)
			}
			contains(t, "stdout", stdout.String(), c.stdout)
			contains(t, "stderr", stderr.String(), c.stderr)
			if lines := strings.Count(stderr.String(), "\n"); code == Usage && lines != 1 {
				t.Errorf("a fault of usage printed %d lines, want 1: %s", lines, stderr.String())
			}
		})
	}
}

func contains(t *testing.T, name, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) || want == "" && got != "" {
		t.Errorf("%s: got %q, want %q", name, got, want)
	}
}

func TestCheckDoesNotRun(t *testing.T) {
	p := Program{Check: func(string) ([]config.Warning, error) { return nil, nil },
		Run: func(context.Context, string, *slog.Logger, <-chan os.Signal) error { t.Error("it ran"); return nil }}
	Main(p, []string{"--config", "f", "--check"}, &bytes.Buffer{}, &bytes.Buffer{})
}

func TestSignals(t *testing.T) {
	for _, last := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := Program{Check: func(string) ([]config.Warning, error) { return nil, nil },
			Run: func(ctx context.Context, _ string, _ *slog.Logger, hangup <-chan os.Signal) error {
				signalSelf(t, syscall.SIGHUP)
				<-hangup
				if ctx.Err() != nil {
					t.Error("SIGHUP ended the role")
				}
				signalSelf(t, last)
				<-ctx.Done()
				return nil
			}}
		if code := Main(p, []string{"--config", "f"}, &bytes.Buffer{}, &bytes.Buffer{}); code != OK {
			t.Errorf("%v: got exit code %d, want 0", last, code)
		}
	}
}

func signalSelf(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}
