package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"heliograph/firmware/config"
)

// leaves are the commands at and below c that do something, and not only hold others.
func leaves(c *cobra.Command) (list []*cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			list = append(list, leaves(sub)...)
		}
	}
	if !c.HasSubCommands() || c.HasExample() { // image and accept do both
		list = append(list, c)
	}
	return list
}

// examples are the whole commands of an example, without what pipes into them.
func examples(c *cobra.Command) (list []string) {
	text := strings.ReplaceAll(c.Example, "\\\n", " ")
	for line := range strings.Lines(text) {
		if _, after, piped := strings.Cut(line, " | "); piped {
			line = after
		}
		list = append(list, strings.TrimSpace(line))
	}
	return list
}

func TestEveryCommandSaysWhatItDoesAndShowsHow(t *testing.T) {
	if n := len(leaves(root())); n < 30 {
		t.Fatalf("found %d commands; there are more", n)
	}
	for _, c := range leaves(root()) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: Short is %q; want a phrase without a full stop", path, c.Short)
		}
		shown := false
		for _, line := range examples(c) {
			if fault := commandFault(line, true); fault != "" {
				t.Errorf("%s: the example %q: %s", path, line, fault)
			}
			shown = shown || strings.HasPrefix(line+" ", path+" ")
		}
		if !shown {
			t.Errorf("%s: its Example shows no call of it", path)
		}
		for line := range strings.Lines(c.Long + "\n" + c.Example) {
			if len([]rune(line)) > 122 {
				t.Errorf("%s: the help has a line of %d columns", path, len([]rune(line)))
			}
		}
	}
}

// control is what a terminal acts on.
var control = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f]`)

func TestHelpOfEveryCommandIsPlainText(t *testing.T) {
	for _, c := range leaves(root()) {
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		code, stdout, stderr := call(t, "", args...)
		if code != 0 || stderr != "" || control.MatchString(stdout) || !strings.Contains(stdout, "Examples:") {
			t.Errorf("%s: %d, %q on standard error, %.300q", args, code, stderr, stdout)
		}
	}
}

func TestShellsCompleteValues(t *testing.T) {
	dir := t.TempDir()
	rx := filepath.Join(dir, "rx.toml")
	if err := os.WriteFile(rx, []byte(config.MinimalRX()), 0o600); err != nil {
		t.Fatal(err)
	}
	const files, none = ":8", ":4" // ShellCompDirectiveFilterFileExt, -NoFileComp
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"commands":             {[]string{"fl"}, []string{"flash\t", none}},
		"commands of a group":  {[]string{"trust", ""}, []string{"add\t", "remove\t", none}},
		"flags":                {[]string{"check", "--ro"}, []string{"--role"}},
		"boards":               {[]string{"flash", "--board", ""}, []string{"rpi4b", "virt", none}},
		"boards of an update":  {[]string{"update", "make", "--board", "rpi"}, []string{"rpi4b", none}},
		"roles":                {[]string{"image", "--role", ""}, []string{"tx\t", "rx\t", none}},
		"a card to replace":    {[]string{"flash", "--replace", "t"}, []string{"tx\t", none}},
		"media of a capture":   {[]string{"decode", "--medium", ""}, []string{"packets", "uart", none}},
		"configurations":       {[]string{"key", "show", "--config", ""}, []string{"toml", files}},
		"files of check":       {[]string{"check", ""}, []string{"toml", files}},
		"captures":             {[]string{"decode", ""}, []string{"pcap", files}},
		"policies":             {[]string{"crawl", "--policy", "Aes"}, []string{"Aes256_Sha256_RsaPss", none}},
		"no argument at all":   {[]string{"version", ""}, []string{none}},
		"runs without a state": {[]string{"epoch", "accept", "--config", rx, "--run", ""}, []string{none}},
		"any file":             {[]string{"key", "new", ""}, []string{":0"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, _ := call(t, "", append([]string{cobra.ShellCompRequestCmd}, c.args...)...)
			for _, want := range c.want {
				if code != 0 || !strings.Contains(stdout, want) {
					t.Errorf("%d, %q; want %q", code, stdout, want)
				}
			}
		})
	}
}

func TestShellsCompleteRejectedCertificates(t *testing.T) {
	dir := t.TempDir()
	if code, _, stderr := call(t, "", "cert", "new", "--pki", dir, "--role", "tx", "--pair", "hall"); code != 0 {
		t.Fatal(stderr)
	}
	file := filepath.Join(t.TempDir(), "stranger.der")
	if err := os.WriteFile(file, stranger(t).Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := call(t, "", "trust", "add", "--pki", dir, file); code != 0 {
		t.Fatal(stderr)
	}
	const subject = "\tCN=stranger"
	asked := func(command string) string {
		_, stdout, _ := call(t, "", cobra.ShellCompRequestCmd, "trust", command, "--pki", dir, "")
		return stdout
	}
	if got := asked("remove"); !strings.Contains(got, subject) {
		t.Errorf("trust remove offers %q, want the trusted certificate", got)
	}
	if got := asked("add"); strings.Contains(got, subject) {
		t.Errorf("trust add offers %q, which is trusted", got)
	}
}

func TestScriptsOfShellsAreWritten(t *testing.T) {
	for shell, want := range map[string]string{"bash": "__start_heliograph", "zsh": "#compdef heliograph",
		"fish": "complete -c heliograph", "powershell": "Register-ArgumentCompleter"} {
		code, stdout, stderr := call(t, "", "completion", shell)
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%s: %d, %q, %.200q; want %q", shell, code, stderr, stdout, want)
		}
		if shell == "bash" {
			c := exec.Command("bash", "-n")
			c.Stdin = strings.NewReader(stdout)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("bash does not read the script: %v, %s", err, out)
			}
		}
	}
}

func TestManualRendersWithoutAWarning(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	if code, _, stderr := call(t, "", "man", dir); code != 0 {
		t.Fatalf("%d, %s", code, stderr)
	}
	var pages []string
	for _, c := range leaves(root()) {
		pages = append(pages, strings.ReplaceAll(c.CommandPath(), " ", "-")+".1")
	}
	pages = append(pages, "heliograph.1", "heliotx.8", "heliorx.8", "heliotx.toml.5", "heliorx.toml.5")
	for _, name := range pages {
		c := exec.Command("groff", "-man", "-ww", "-Tutf8", "-K", "utf8", "-z", filepath.Join(dir, name))
		var said bytes.Buffer
		c.Stderr = &said
		if err := c.Run(); err != nil || said.Len() > 0 {
			t.Errorf("%s: %v, %s", name, err, said.Bytes())
		}
	}
	t.Run("mandoc", func(t *testing.T) {
		mandoc, err := exec.LookPath("mandoc")
		if err != nil {
			t.Skip("not proved: mandoc finds no fault in a page, because mandoc is not installed")
		}
		for _, name := range pages {
			said, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", filepath.Join(dir, name)).CombinedOutput()
			if err != nil || len(said) > 0 {
				t.Errorf("%s: %v, %s", name, err, said)
			}
		}
	})
	page, err := os.ReadFile(filepath.Join(dir, "heliograph-key-new.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"HELIOGRAPH-KEY-NEW" "1" "2023-11-14"`, "Write a new random key",
		"heliograph key new pair.key", "EXIT STATUS", `\fBheliograph-key\fP(1)`} {
		if !strings.Contains(string(page), want) {
			t.Errorf("heliograph-key-new(1) does not have %q:\n%s", want, page)
		}
	}
}
