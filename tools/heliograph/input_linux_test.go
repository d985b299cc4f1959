package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"heliograph/firmware/config"
	"heliograph/firmware/config/pairkey"
)

// inputs has a call of each command that reads a file, with "@" in place of its name. A
// command that reads none stands in withoutInput.
func inputs() map[string][]string {
	return map[string][]string{
		"accept": {"--config", "@", "-o", "x.html"}, "accept verify": {"@"},
		"cert csr": {"--pki", "@", "x.csr"}, "cert export": {"--pki", "@", "x.der"}, "cert show": {"--config", "@"},
		"check": {"@"}, "console": {"--once", "@"}, "crawl": {"--policy", "Basic256Sha256", "--pki", "@",
			"opc.tcp://127.0.0.1:1", "opc.tcp://127.0.0.1:1"},
		"decode": {"@"}, "doctor": {"--config", "@"},
		"epoch accept": {"--config", "@"}, "epoch show": {"--config", "@"},
		"flash":           {"@", "card.img"},
		"image":           {"--role", "tx", "--board", "virt", "--config", "@", "-o", "x.img"},
		"image configure": {"--network", "network.toml", "@"},
		"key change":      {"--config", "own.toml", "@"}, "key show": {"--config", "@"},
		"selftest":    {"@"},
		"trust add":   {"--pki", "pki", "@"},
		"trust list":  {"--config", "@"},
		"update make": {"--role", "tx", "--board", "virt", "--release", "2", "--key", "@", "-o", "x.update"},
		"update show": {"@"}, "update install": {"--key", "@", "x.update", "card.img"},
		"version":      {"--image", "@"},
		"watch":        {"--once", "--ca-file", "@", "https://127.0.0.1:1"},
		"trust remove": {"--config", "@", "0123456789AB"},
	}
}

// withoutInput are commands that read no file, or begin something that a test of theirs ends.
var withoutInput = []string{"bench", "board-demo", "cert new", "completion bash", "completion fish",
	"completion powershell", "completion zsh", "demo", "init", "key new", "man", "plant", "syslog", "update key",
	"user add"}

// badInputs are files that no command takes.
func badInputs(t *testing.T) (dir string, files map[string]string) {
	dir = t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"text": "a text\n", "own.toml": config.MinimalTX(),
		"network.toml": "address = \"10.0.0.2/24\"\n"} {
		if err := os.WriteFile(at(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := pairkey.Create(at("pair.key"), pairkey.New()); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "cert", "new", "--pki", at("pki"), "--role", "tx", "--pair", "hall"); code != 0 {
		t.Fatal(stderr)
	}
	if err := os.Mkdir(at("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, map[string]string{"missing": at("missing"), "a folder": at("folder"), "a text": at("text"),
		"a device": "/dev/zero", "a pipe": at("pipe")}
}

// TestABadFileIsOneLineThatNamesIt: 1, or 78 where the file is to be a configuration.
func TestABadFileIsOneLineThatNamesIt(t *testing.T) {
	dir, bad := badInputs(t)
	t.Chdir(dir)
	for _, c := range leaves(root()) {
		path := strings.TrimPrefix(c.CommandPath(), "heliograph ")
		args, reads := inputs()[path]
		if !reads {
			if !slices.Contains(withoutInput, path) {
				t.Errorf("%s: say in inputs which file it reads, or in withoutInput that it reads none", path)
			}
			continue
		}
		for kind, file := range bad {
			if kind == "a folder" && slices.Contains(args, "--pki") || kind == "a pipe" && path == "decode" {
				continue // that is what it takes
			}
			called := strings.Fields(path)
			for _, a := range args {
				called = append(called, strings.ReplaceAll(a, "@", file))
			}
			want := 1
			if i := slices.Index(args, "--config"); i >= 0 && args[i+1] == "@" || path == "check" {
				want = 78
			}
			t.Run(path+": "+kind, func(t *testing.T) {
				code, stdout, stderr := call(t, "\n", called...)
				said := stdout + stderr
				switch {
				case want == 78 && code == 78 && strings.Contains(said, file+":"): // a fault a line
				case code != want:
					t.Errorf("code %d, want %d: %s", code, want, said)
				case !strings.Contains(said, file):
					t.Errorf("it does not name %s: %s", file, said)
				case strings.Count(strings.TrimSpace(stderr), "\n") > 1:
					t.Errorf("more than a line: %s", stderr)
				case strings.Contains(said, "Try \"heliograph"):
					t.Errorf("it is called a fault of usage: %s", said)
				}
			})
		}
	}
}

// TestABadCallIsUsage: code 2, a line that says what is wrong, and one that says where help is.
func TestABadCallIsUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range leaves(root()) {
		path := strings.Fields(c.CommandPath())[1:]
		calls := map[string][]string{"an unknown flag": {"--nonsense"}}
		if c.ValidateArgs(nil) != nil {
			calls["an argument left out"] = nil
		}
		if many := []string{"a", "b", "c", "d", "e"}; c.ValidateArgs(many) != nil {
			calls["an argument too many"] = many
		}
		if c.ValidateRequiredFlags() != nil || c.ValidateFlagGroups() != nil {
			calls["a flag left out"] = slices.Repeat([]string{"x"}, argumentsOf(c))
		}
		if n := argumentsOf(c); n > 0 {
			calls["an empty argument"] = slices.Repeat([]string{""}, n)
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			given := slices.Repeat([]string{"x"}, argumentsOf(c))
			switch kind := f.Value.Type(); {
			case kind == "bool":
				calls["--"+f.Name+" is not a bool"] = append(given, "--"+f.Name+"=perhaps")
				return
			case kind != "string":
				calls["--"+f.Name+" of another type"] = append(given, "--"+f.Name+"=@@")
			case c.Name() != "init" || f.Name == "key":
				calls["--"+f.Name+" is empty"] = append(given, "--"+f.Name+"=")
			}
			calls["--"+f.Name+" without its value"] = append(given, "--"+f.Name)
		})
		for kind, args := range calls {
			t.Run(strings.Join(path, " ")+": "+kind, func(t *testing.T) {
				code, stdout, stderr := call(t, "", append(slices.Clone(path), args...)...)
				if code != 2 || stdout != "" || strings.Count(stderr, "\n") != 2 ||
					strings.Contains(stderr, "strconv") || strings.Contains(stderr, "if any flags in the group") ||
					!strings.HasPrefix(stderr, "heliograph: ") || !strings.Contains(stderr, "Try \"heliograph") {
					t.Errorf("%d, %q, %q; want 2 and two lines", code, stdout, stderr)
				}
			})
		}
	}
}

// argumentsOf is how many arguments a command takes at least.
func argumentsOf(c *cobra.Command) int {
	n := 0
	for n < 3 && c.ValidateArgs(slices.Repeat([]string{"x"}, n)) != nil {
		n++
	}
	return n
}
